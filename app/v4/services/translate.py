"""Between v4's wire models and the domain."""

from __future__ import annotations

from typing import Any

from app.chat.request import UNSET, TurnRequest
from app.conversations.stop import StoppedAnswer
from app.conversations.token_count import TokenCount
from app.v1.services import translate as v1
from app.v4.models import chat as wire
from app.v4.models import turns

_OPTIONAL = ("system", "template", "parent_id")
"""Fields in which null does not mean the same as leaving them out."""


def turn_request(body: wire.ChatRequest) -> TurnRequest:
    """The request of a body."""
    given = body.model_fields_set
    optional: dict[str, Any] = {
        name: getattr(body, name) if name in given else UNSET for name in _OPTIONAL
    }
    return TurnRequest(
        message=body.message,
        history=v1.messages(body.history),
        model=body.model,
        sampling=v1.sampling_options(body),
        variables=body.variables,
        conversation_id=body.conversation_id,
        overflow=body.overflow,
        wait_when_busy=body.when_busy == "wait",
        **optional,
    )


def options(body: wire.RegenerateRequest | None) -> TurnRequest:
    """The options for answering a stored question again; it has no message of its own."""
    body = body or wire.RegenerateRequest()
    return TurnRequest(
        message="",
        model=body.model,
        sampling=v1.sampling_options(body),
        overflow=body.overflow,
        wait_when_busy=body.when_busy == "wait",
    )


def stopped(conversation_id: str, answer: StoppedAnswer) -> turns.Stopped:
    """The answer that was stopped, as v4 sends it."""
    return turns.Stopped.model_validate(
        {
            "conversation_id": conversation_id,
            "message_id": answer.message_id,
            "status": answer.status,
        }
    )


def token_count(counted: TokenCount) -> turns.TokenCount:
    """A token count as v4 sends it."""
    size = counted.size
    return turns.TokenCount(
        model=counted.model,
        prompt_tokens=size.tokens,
        limit=size.limit,
        fits=size.tokens <= size.limit,
    )
