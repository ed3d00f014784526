"""Applies a prompt template, which the caller has looked up, to a chat request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TypeVar

from app.chat.request import ChatRequest
from app.errors import InvalidRequest
from app.templates.rendering import CompiledTemplate, fill_variables

R = TypeVar("R", bound=ChatRequest)


async def apply(request: R, template: CompiledTemplate | None) -> R:
    """The request with message and system text rendered, in a thread.

    The request's system text and sampling options take precedence over the template's. Raises
    InvalidRequest, RenderFailed.
    """
    if template is None:
        if request.variables:
            raise InvalidRequest("/variables", "Variables belong to a template: name one.")
        return request
    return await asyncio.to_thread(_apply, request, template)


def _apply(request: R, compiled: CompiledTemplate) -> R:
    values = fill_variables(compiled.template, request.variables)
    system = request.system
    if not isinstance(system, str):
        system = compiled.render_system(values)
    return replace(
        request,
        message=compiled.render_user(values, request.message),
        system=system,
        sampling=request.sampling.with_defaults(compiled.template.sampling),
    )
