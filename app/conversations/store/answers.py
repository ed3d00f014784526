"""Reads stored answers for those who follow them, whoever makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, func, select, tuple_
from sqlalchemy.orm import Session

from app.conversations.errors import MessageNotFound
from app.conversations.store import conversations, images, parts
from app.conversations.store.extras import EXTRA_OF_MESSAGE
from app.conversations.store.images import Attachment
from app.errors import InvalidRequest
from app.provider.types import Part, SeenImage, TextPart, ThinkingPart, ToolCallPart
from app.storage.tables import Message, MessageExtra

_WITH_PARTS = (
    select(Message, MessageExtra.parts)
    .outerjoin(MessageExtra, EXTRA_OF_MESSAGE)
    .where(Message.conversation_id == bindparam("conversation"), Message.id == bindparam("id"))
)
_LENGTHS = select(
    Message.conversation_id, Message.id, Message.status, func.length(Message.content)
).where(tuple_(Message.conversation_id, Message.id).in_(bindparam("answers", expanding=True)))
_TEXTS = select(Message.id, Message.content).where(
    tuple_(Message.conversation_id, Message.id).in_(bindparam("answers", expanding=True))
)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it is stored, which may still be being made.

    ``images`` are those of its question, ``seen`` those that the model saw. ``request`` is what
    its request said, where that is kept.
    """

    row: Message
    parts: tuple[Part, ...] = ()
    images: tuple[Attachment, ...] = ()
    seen: tuple[SeenImage, ...] = ()
    request: dict[str, Any] = field(default_factory=dict)

    @property
    def thinking(self) -> str:
        """Its thinking."""
        return "".join(part.text for part in self.parts if isinstance(part, ThinkingPart))

    @property
    def whole_parts(self) -> tuple[Part, ...]:
        """Its parts, also where they are one text alone."""
        return self.parts or (TextPart(self.row.content),)

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """Its tool calls."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


def read_answer(
    session: Session, owner: str, conversation_id: str, message_id: str
) -> StoredAnswer:
    """An answer of a conversation.

    Raises ConversationNotFound, MessageNotFound, and InvalidRequest for a message that is none.
    """
    conversations.read_row(session, owner, conversation_id)
    found = _read(session, conversation_id, message_id)
    if found.row.role != "assistant":
        detail = "This message is no answer: name one of its answers."
        raise InvalidRequest("/path/message_id", detail)
    uses = images.list_uses(session, conversation_id)
    if not uses:
        return found
    mine = tuple(use.image for use in uses if use.message_id == found.row.parent_id)
    seen = images.read_seen_images(session, conversation_id).get(message_id, ())
    return replace(found, images=mine, seen=seen)


def _read(session: Session, conversation_id: str, message_id: str) -> StoredAnswer:
    values = {"conversation": conversation_id, "id": message_id}
    # PostgreSQL refuses a NUL in a parameter.
    found = None if "\0" in message_id else session.execute(_WITH_PARTS, values).first()
    if found is None:
        raise MessageNotFound(message_id)
    row, stored = found
    asked = [value["fields"] for value in parts.request_values(stored)]
    shown = parts.from_values(stored, row.content) if stored else ()
    return StoredAnswer(row, shown, request=asked[0] if asked else {})


class AnswerKey(NamedTuple):
    """The ids of a conversation and of an answer in it."""

    conversation_id: str
    answer_id: str


class StoredText(NamedTuple):
    """The status of an answer, and its text so far; None: it is as long as it was."""

    status: str
    text: str | None


def read_texts(session: Session, known: Mapping[AnswerKey, int]) -> dict[AnswerKey, StoredText]:
    """The answers that are there still, with the texts of those that are not as long as known."""
    rows = session.execute(_LENGTHS, {"answers": list(known)}).all()
    changed = [_key(row) for row in rows if row[3] != known[_key(row)]]
    texts: dict[str, str] = {}
    if changed:
        texts = {row.id: row.content for row in session.execute(_TEXTS, {"answers": changed})}
    return {_key(row): StoredText(row.status, texts.get(row.id)) for row in rows}


def _key(row: Row[str, str, str, int]) -> AnswerKey:
    return AnswerKey(row.conversation_id, row.id)
