"""What a client is told of a turn: as a whole answer, or around a stream."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from app.conversations.turn import Turn
from app.provider.errors import EngineUnavailable
from app.provider.types import End
from app.v1.models.chat import AnswerMessage, Usage
from app.v4.models.chat import ChatAnswer, Context
from app.v4.models.events import StoredDoneEvent, StoredMessageEvent


async def whole_answer(turn: Turn) -> ChatAnswer:
    """Read the turn to its end; raises what it raises."""
    async with aclosing(turn.events()) as events:
        async for event in events:
            if isinstance(event, End):
                done = _done(turn, event)
                message = AnswerMessage(content=turn.text)
                return ChatAnswer(**_head(turn), message=message, **dict(done))
    raise EngineUnavailable("The answer broke off.", 1.0)


def head(turn: Turn) -> dict[str, Any]:
    """What the ``message`` event says."""
    return StoredMessageEvent(**_head(turn)).model_dump()


def _head(turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.ids.answer,
        "conversation_id": turn.ids.conversation,
        "message_id": turn.ids.answer,
        "parent_id": turn.ids.question,
        "model": turn.stage.model,
        "template": turn.template,
    }


def done(turn: Turn, end: End) -> dict[str, Any]:
    """What the ``done`` event says."""
    return _done(turn, end).model_dump()


def _done(turn: Turn, end: End) -> StoredDoneEvent:
    context = asdict(turn.context) | {
        "dropped": list(turn.context.dropped),
        "summarised": list(turn.context.summarised),
    }
    known = end.reason != "cancelled"
    return StoredDoneEvent(
        finish_reason=end.reason,
        usage=Usage(**asdict(end.usage)) if known else None,
        context=Context(**context),
    )
