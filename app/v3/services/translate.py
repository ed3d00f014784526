"""Between v3's wire models and the domain."""

from __future__ import annotations

from app.chat.completion import Completion
from app.chat.request import ChatRequest
from app.v1.services import translate as v1
from app.v3.models import chat as wire


def chat_request(body: wire.ChatRequest) -> ChatRequest:
    """The request of a body."""
    return ChatRequest(
        message=body.message,
        history=v1.messages(body.history),
        system=body.system,
        model=body.model,
        sampling=v1.sampling_options(body),
        template=body.template,
        variables=body.variables,
    )


def chat_answer(model: str, template: str | None, completion: Completion) -> wire.ChatAnswer:
    """A whole answer as v3 sends it."""
    return wire.ChatAnswer(**dict(v1.chat_answer(model, completion)), template=template)
