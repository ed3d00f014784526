"""From a request with a prompt template to a prompt."""

from __future__ import annotations

from app.chat.completion import build_prompt, require_history_length
from app.chat.request import ChatRequest
from app.provider.types import Prompt
from app.templates.apply import apply
from app.templates.library import TemplateLibrary


async def templated_prompt(
    request: ChatRequest, library: TemplateLibrary, owner: str, longest_history: int
) -> Prompt:
    """The prompt of a request; raises TemplateNotFound, InvalidRequest, RenderFailed."""
    template = library.get(request.template) if isinstance(request.template, str) else None
    require_history_length(request, longest_history)
    return build_prompt(await apply(request, template), owner, longest_history)
