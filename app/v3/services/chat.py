"""From a framed question to a prompt, and from a stream to a whole answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from app.chat import completion as v1
from app.provider.types import Event, Prompt
from app.templates.apply import Framing, frame
from app.templates.library import TemplateLibrary
from app.templates.rendering import CompiledTemplate
from app.v3.models.chat import ChatAnswer, ChatRequest


def wanted(request: ChatRequest, library: TemplateLibrary) -> CompiledTemplate | None:
    """The template that the request names, if any; raises TemplateNotFound."""
    return None if request.template is None else library.get(request.template)


async def prompt_of(
    request: ChatRequest, template: CompiledTemplate | None, owner: str, longest_history: int
) -> Prompt:
    """Everything the engine needs of a request; raises InvalidRequest, RenderFailed."""
    earlier = v1.earlier_turns(request, longest_history)
    framing: Framing = await frame(request, template)
    messages = v1.conversation(framing.system, earlier, framing.user)
    return Prompt(messages, framing.sampling, owner)


async def whole_answer(
    model: str, template: str | None, events: AsyncGenerator[Event, None]
) -> ChatAnswer:
    """Collect a stream; raises what the stream raises."""
    answer = await v1.whole_answer(model, events)
    return ChatAnswer(**dict(answer), template=template)
