"""Prompt templates of requests."""

from __future__ import annotations

from app.chat.request import ChatRequest
from app.provider.card import ModelCard
from app.templates.library import TemplateLibrary
from app.templates.of_preset import FindTemplate, apply_with_preset


async def templated(
    request: ChatRequest, library: TemplateLibrary, card: ModelCard, find: FindTemplate
) -> ChatRequest:
    """The request with its template applied, a built-in one, else with that of its preset.

    Raises TemplateNotFound, InvalidRequest, RenderFailed, ModelNotLoadable.
    """
    named = library.get(request.template) if isinstance(request.template, str) else None
    return await apply_with_preset(request, named, card, find)
