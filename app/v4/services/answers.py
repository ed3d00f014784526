"""A turn as v4 shows it: as a whole answer, or in the events of a stream."""

from __future__ import annotations

from typing import Any

from app.chat.completion import Completion, collect
from app.conversations.turn import Turn
from app.conversations.turn_end import Context
from app.provider.types import End
from app.v1.services.translate import finish_reason
from app.v4.models.chat import ChatAnswer


async def whole_answer(turn: Turn) -> ChatAnswer:
    """Read the turn to its end; raises what it raises."""
    completion = await collect(turn.events())
    return ChatAnswer.model_validate(answer(turn, completion) | done(turn, completion.end))


def answer(turn: Turn, completion: Completion) -> dict[str, Any]:
    """The ids and the text of a whole answer."""
    return head(turn) | {"message": {"content": completion.text}}


def head(turn: Turn) -> dict[str, Any]:
    """The fields of the ``message`` event."""
    target = turn.target
    return {
        "id": target.answer_id,
        "conversation_id": target.conversation_id,
        "message_id": target.answer_id,
        "parent_id": target.question_id,
        "model": target.model.id,
        "template": target.template,
    }


def done(turn: Turn, end: End) -> dict[str, Any]:
    """The fields of the ``done`` event; the usage of a stopped answer is not known."""
    return {
        "finish_reason": finish_reason(end.reason),
        "usage": None if end.reason == "cancelled" else end.usage.counts(),
        "context": context(turn.context),
    }


def context(shown: Context) -> dict[str, Any]:
    """Which part of the conversation the model was shown."""
    return {
        "prompt_tokens": shown.prompt_tokens,
        "limit": shown.limit,
        "dropped": list(shown.dropped),
        "summarised": list(shown.summarised),
    }
