"""What a request and a template make together: all that is said to the model, and how it answers.

Where the template comes from is not known here: the caller has resolved its name.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from app.chat.completion import sampling_of
from app.errors import InvalidRequest
from app.provider.types import Sampling
from app.templates.rendering import CompiledTemplate, filled
from app.v1.models.chat import SamplingFields
from app.v3.models.chat import ChatRequest


@dataclass(frozen=True)
class Framing:
    """A question as the model sees it. ``system`` is None where there is none to be said."""

    template: str | None
    system: str | None
    user: str
    sampling: Sampling


async def frame(request: ChatRequest, template: CompiledTemplate | None) -> Framing:
    """Put the request into the template, off the event loop; raises InvalidRequest, RenderFailed.

    ``template`` is the one that the request names.
    """
    if template is None:
        if request.variables:
            raise InvalidRequest("/variables", "Variables belong to a template: name one.")
        return Framing(None, request.system, request.message, sampling_of(request))
    return await asyncio.to_thread(_framed, request, template)


def _framed(request: ChatRequest, compiled: CompiledTemplate) -> Framing:
    values = filled(compiled.template, request.variables)
    system = request.system
    if system is None:
        system = compiled.render_system(values)
    user = compiled.render_user(values, request.message)
    sampling = merged_sampling(request, compiled.template.sampling)
    return Framing(compiled.template.name, system or None, user, sampling)


def merged_sampling(request: SamplingFields, template: SamplingFields | None) -> Sampling:
    """What the request sets (to more than null) wins over the template, that over the defaults."""
    asked = sampling_of(request)
    if template is None:
        return asked
    given = request.model_fields_set & SamplingFields.model_fields.keys()
    explicit = {name: getattr(asked, name) for name in given if getattr(request, name) is not None}
    return replace(sampling_of(template), **explicit)
