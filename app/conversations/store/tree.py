"""Branches: the path from a message up to the root of its tree.

Parents lead from listed message to listed message: the branch that users see. The history that the
model reads passes through the unlisted messages too (``MessageExtra.previous_id``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Session, aliased, defer

from app.conversations.errors import MessageNotFound
from app.conversations.store import images, parts
from app.conversations.store.extras import EXTRA_OF_MESSAGE, IS_UNLISTED
from app.conversations.store.images import Attachment
from app.provider.types import Message as MessageValue
from app.provider.types import Part, Role
from app.storage.tables import Message, MessageExtra


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One message as the model reads it; ``with_images`` adds its images.

    ``parts`` is empty if it is images and one text; else they stand in for both, with
    ``parts.IMAGE`` where the images belong.
    """

    id: str
    role: Role
    text: str
    images: tuple[Attachment, ...] = ()
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, message: MessageValue) -> HistoryMessage:
        """A message that is not stored."""
        shown = tuple(map(images.attachment_of, message.images))
        extra = parts.from_values(parts.to_values(parts.extra_parts(message)), message.text)
        return cls("", message.role, message.text, shown, extra)

    @property
    def transcript(self) -> str:
        """Its text, tool calls and tool results as one text, without thinking."""
        return parts.transcript(self.parts) if self.parts else self.text

    @property
    def is_listed(self) -> bool:
        """Whether every API version lists it."""
        return parts.is_listed(self.role, self.parts)


def find_message(session: Session, conversation_id: str, message_id: str) -> Message:
    """A listed message of a conversation; raises MessageNotFound."""
    values = {"conversation": conversation_id, "leaf": message_id}
    # PostgreSQL refuses a NUL in a parameter.
    if "\0" in message_id or (found := session.scalar(_LISTED_MESSAGE, values)) is None:
        raise MessageNotFound(message_id)
    return found


@dataclass(frozen=True, slots=True)
class Position:
    """Where a message goes: below a listed parent, and behind the unlisted message before it."""

    parent_id: str | None = None
    previous_id: str | None = None

    @property
    def last_id(self) -> str | None:
        """The message directly before; None for the first one."""
        return self.previous_id or self.parent_id

    def behind(self, message_id: str, *, listed: bool) -> Position:
        """The position behind the message that goes here."""
        return Position(message_id) if listed else Position(self.parent_id, message_id)


def position_behind(session: Session, conversation_id: str, message_id: str) -> Position:
    """The position behind any message, listed or not; raises MessageNotFound."""
    values = {"conversation": conversation_id, "leaf": message_id}
    if "\0" in message_id or (found := session.execute(_ANY_MESSAGE, values).first()) is None:
        raise MessageNotFound(message_id)
    return Position(found.parent_id).behind(message_id, listed=found.listed is not False)


def branch(
    session: Session, conversation_id: str, leaf_id: str | None, limit: int | None
) -> list[Message]:
    """The ``limit`` messages that end with ``leaf_id``, or all, oldest first."""
    return list(session.scalars(_BRANCH, _values(conversation_id, leaf_id, limit)))


def history(session: Session, conversation_id: str, leaf_id: str | None) -> list[HistoryMessage]:
    """All messages up to ``leaf_id``, oldest first, without unanswered questions."""
    return _without_unanswered(_read_path(session, _HISTORY, conversation_id, leaf_id))


def history_before(
    session: Session, conversation_id: str, parent_id: str | None
) -> tuple[list[HistoryMessage], Position]:
    """The history of a question with this parent, and the question's position.

    The question follows the newest developer messages behind its parent: who names the parent
    cannot see them.
    """
    statement = _HISTORY_OF_FIRST if parent_id is None else _HISTORY_BELOW
    path = _read_path(session, statement, conversation_id, parent_id)
    last = path[-1].id if path else None
    position = Position(parent_id, None if last == parent_id else last)
    return _without_unanswered(path), position


def _read_path(
    session: Session, statement: Select[Any], conversation_id: str, leaf_id: str | None
) -> list[HistoryMessage]:
    values = {"conversation": conversation_id, "leaf": leaf_id}
    rows = session.connection().execute(statement, values)
    return [
        HistoryMessage(
            name, cast("Role", role), text, parts=parts.from_values(stored, text) if stored else ()
        )
        for name, role, text, stored in rows
    ]


def _without_unanswered(history: list[HistoryMessage]) -> list[HistoryMessage]:
    """Leave out empty answers with the questions and the tool calls before them."""
    kept: list[HistoryMessage] = []
    for message in history:
        if message.role == "assistant" and not message.text and message.is_listed:
            _remove_question(kept)
        else:
            kept.append(message)
    return kept


def _remove_question(kept: list[HistoryMessage]) -> None:
    """Remove the question that is being answered, and the tool calls made for it, if any."""
    while kept and not kept[-1].is_listed and kept[-1].role != "developer":
        kept.pop()
    if kept and kept[-1].role == "user":
        kept.pop()


def with_images(
    session: Session, conversation_id: str, history: Sequence[HistoryMessage], most: int
) -> list[HistoryMessage]:
    """Add the images to the messages: the last ``most`` with content, earlier ones without."""
    found: dict[str, tuple[Attachment, ...]] = {}
    for use in images.list_uses(session, conversation_id):
        found[use.message_id] = (*found.get(use.message_id, ()), use.image)
    if not found:
        return list(history)
    messages = [replace(message, images=found.get(message.id, ())) for message in history]
    hashes = [image.sha256 for message in messages for image in message.images]
    bare = max(0, len(hashes) - most)
    contents = images.read_contents(session, set(hashes[bare:]))
    for at, message in enumerate(messages):
        kept = message.images[bare:]
        filled = [replace(image, content=contents[image.sha256]) for image in kept]
        messages[at] = replace(message, images=(*message.images[:bare], *filled))
        bare = max(0, bare - len(message.images))
    return messages


# ---------------------------------------------------------------- statements

# Built once: building them takes longer than running them.

_LONGEST = 2**31 - 1
"""More messages than any branch has."""

_CONVERSATION: BindParameter[str] = bindparam("conversation")
_LEAF: BindParameter[str | None] = bindparam("leaf")
_HERE = and_(Message.conversation_id == _CONVERSATION, Message.id == _LEAF)
_LISTED_MESSAGE = select(Message).where(_HERE, ~IS_UNLISTED)
_ANY_MESSAGE = (
    select(Message.parent_id, MessageExtra.listed)
    .outerjoin(MessageExtra, EXTRA_OF_MESSAGE)
    .where(_HERE)
)


def _values(conversation_id: str, leaf_id: str | None, limit: int | None) -> dict[str, Any]:
    """Values for the parameters of the statements."""
    limit = _LONGEST if limit is None else limit
    return {"conversation": conversation_id, "leaf": leaf_id, "limit": limit}


def _path() -> CTE:
    """Ids from the leaf upwards, with their distance from it."""
    start = select(Message.id, Message.parent_id, literal(0).label("depth")).where(_HERE)
    path = start.cte("path", recursive=True)
    parent = aliased(Message)
    up = select(parent.id, parent.parent_id, path.c.depth + 1).where(
        parent.conversation_id == _CONVERSATION,
        parent.id == path.c.parent_id,
        path.c.depth + 1 < bindparam("limit"),
    )
    return path.union_all(up)


_PATH = _path()
_BRANCH = (
    select(Message)
    .options(defer(Message.prompt))
    .join(_PATH, Message.id == _PATH.c.id)
    .where(Message.conversation_id == _CONVERSATION)
    .order_by(_PATH.c.depth.desc())
)


def _history(leaf: ColumnElement[Any]) -> Select[Any]:
    """Selects what the model reads: all messages up to ``leaf``, the unlisted ones too."""
    path = whole_path(leaf)
    text = func.coalesce(Message.prompt, Message.content)
    return (
        select(Message.id, Message.role, text, MessageExtra.parts)
        .join(path, Message.seq == path.c.seq)
        .outerjoin(MessageExtra, EXTRA_OF_MESSAGE)
        .order_by(path.c.depth.desc())
    )


def whole_path(leaf: ColumnElement[Any]) -> CTE:
    """``seq`` of all messages from ``leaf`` upwards, unlisted ones too, with their distance."""
    previous = func.coalesce(MessageExtra.previous_id, Message.parent_id)
    steps = select(Message.seq, previous.label("previous"))
    here = Message.conversation_id == _CONVERSATION
    start = steps.add_columns(literal(0).label("depth")).where(here, Message.id == leaf)
    path = start.outerjoin(MessageExtra, EXTRA_OF_MESSAGE).cte("whole_path", recursive=True)
    up = steps.add_columns(path.c.depth + 1).where(here)
    joined = up.join(path, Message.id == path.c.previous)
    return path.union_all(joined.outerjoin(MessageExtra, EXTRA_OF_MESSAGE))


_SIBLING = aliased(Message)


def _last_developer_message(below: ColumnElement[bool]) -> ColumnElement[Any]:
    """The newest developer message behind a parent, to which ``below`` restricts siblings."""
    return (
        select(_SIBLING.id)
        .where(_SIBLING.conversation_id == _CONVERSATION, below, _SIBLING.role == "developer")
        .order_by(_SIBLING.seq.desc())
        .limit(1)
        .scalar_subquery()
    )


_HISTORY = _history(_LEAF)
_HISTORY_BELOW = _history(
    func.coalesce(_last_developer_message(_SIBLING.parent_id == _LEAF), _LEAF)
)
_HISTORY_OF_FIRST = _history(_last_developer_message(_SIBLING.parent_id.is_(None)))
