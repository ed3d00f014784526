"""An answer as v6 shows it: as a whole, in the events of a stream, or where it will be found."""

from __future__ import annotations

from typing import Any

from app.conversations.answer_readers import StoredEnd
from app.conversations.store.answers import StoredAnswer
from app.conversations.turn import Turn
from app.conversations.turn_end import Context
from app.provider.types import End
from app.v4.services import answers as v4
from app.v5.services import answers as v5
from app.v6.models.chat import BackgroundAnswer, ChatAnswer
from app.v6.services.translate import tool_calls


def whole_answer(turn: Turn, end: End) -> ChatAnswer:
    """An answer that has ended."""
    content = turn.live.content
    message = {
        "content": content.text,
        "thinking": content.thinking,
        "tool_calls": tool_calls(content.tool_calls),
    }
    return ChatAnswer.model_validate(v4.head(turn) | {"message": message} | done(turn, end))


def done(turn: Turn, end: End) -> dict[str, Any]:
    """The fields of the ``done`` event."""
    return v5.done(turn, end) | {"finish_reason": end.reason}


def background_answer(turn: Turn, stream: str) -> BackgroundAnswer:
    """An answer that is being made in the background, and the path at which it can be read."""
    return BackgroundAnswer.model_validate(v4.head(turn) | {"stream": stream})


def stored_head(answer: StoredAnswer) -> dict[str, Any]:
    """The fields of the ``message`` event of a stored answer; its template is not known."""
    row = answer.row
    return {
        "id": row.id,
        "conversation_id": row.conversation_id,
        "message_id": row.id,
        "parent_id": row.parent_id,
        "model": row.model,
        "template": None,
    }


def stored_done(end: StoredEnd) -> dict[str, Any]:
    """The fields of the ``done`` event of a stored answer."""
    answer = end.answer
    context = answer.row.context or v4.context(Context(0, 0))
    return {
        "finish_reason": end.reason,
        "usage": answer.row.usage,
        "context": context | {"images": [image.as_dict() for image in answer.seen]},
        "images": v5.question_images(answer.images, answer.seen),
    }
