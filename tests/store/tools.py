"""A turn in which the model thinks and calls tools, as values and in the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.conversations.store import conversations, messages, tree
from app.conversations.store.messages import Added
from app.conversations.store.rows import ConversationRow
from app.conversations.store.tree import Position
from app.provider.types import (
    ImageNotes,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

PICTURE = ImagePart(b"PNG of a cloud", "c10d", 40, 30, "image/jpeg", ImageNotes(ocr="RAIN"))

QUESTION = Message.of("user", "Umbrella today?")
CALLS = Message(
    "assistant",
    (
        ThinkingPart("I need the forecast."),
        TextPart("Lookingup."),
        ToolCallPart("call-1", "weather", '{"city": "서울"}'),
        ToolCallPart("call-2", "webcam", "{}"),
    ),
)
RESULTS = Message(
    "tool",
    (
        ToolResultPart("call-1", (TextPart("Showers at "), TextPart("noon."))),
        ToolResultPart("call-2", (TextPart("A cloud:"), PICTURE), is_error=True),
    ),
)
ANSWER = Message("assistant", (ThinkingPart("It rains."), TextPart("Take an umbrella.")))
TURN = (QUESTION, CALLS, RESULTS, ANSWER)
TEXT_TURN = (QUESTION, CALLS, Message("tool", RESULTS.parts[:1]), ANSWER)
"""Without the image, which a text-only model cannot be shown."""

DEVELOPER = Message.of("developer", "Answer in one word.")


def new_conversation(session: Session, owner: str) -> ConversationRow:
    return conversations.create(session, owner, "c1", "About rain", {})


def append(
    session: Session, owner: str, name: str, behind: str | None, stored: Sequence[Message]
) -> Added:
    """Store messages in a conversation behind one of its messages, as a later dialect does."""
    found = conversations.find_owned(session, owner, name, lock=True)
    position = tree.position_behind(session, name, behind) if behind else Position()
    return messages.append(session, found, position, stored)
