"""Branches: the path from a message up to the root of its tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import CTE, BindParameter, bindparam, func, literal, select
from sqlalchemy.orm import Session, aliased, defer

from app.conversations.errors import MessageNotFound
from app.conversations.store import images
from app.conversations.store.images import Attachment
from app.provider.types import Role
from app.storage.tables import Message


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One message as the model reads it; ``with_images`` adds its images."""

    id: str
    role: Role
    text: str
    images: tuple[Attachment, ...] = ()


def find_message(session: Session, conversation_id: str, message_id: str) -> Message:
    """One message of a conversation; raises MessageNotFound."""
    values = {"conversation": conversation_id, "leaf": message_id}
    # PostgreSQL refuses a NUL in a parameter.
    if "\0" in message_id or (found := session.scalar(_MESSAGE, values)) is None:
        raise MessageNotFound(message_id)
    return found


def branch(
    session: Session, conversation_id: str, leaf_id: str | None, limit: int | None
) -> list[Message]:
    """The ``limit`` messages that end with ``leaf_id``, or all, oldest first."""
    return list(session.scalars(_BRANCH, _values(conversation_id, leaf_id, limit)))


def history(session: Session, conversation_id: str, leaf_id: str | None) -> list[HistoryMessage]:
    """All messages up to ``leaf_id``, oldest first, without unanswered questions."""
    rows = session.execute(_HISTORY, _values(conversation_id, leaf_id, None))
    return _without_unanswered(
        [HistoryMessage(name, cast("Role", role), text) for name, role, text in rows]
    )


def _without_unanswered(history: list[HistoryMessage]) -> list[HistoryMessage]:
    """Leave out empty answers and the questions before them."""
    kept: list[HistoryMessage] = []
    for message in history:
        if message.role == "assistant" and not message.text:
            if kept and kept[-1].role == "user":
                kept.pop()
        else:
            kept.append(message)
    return kept


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
_MESSAGE = select(Message).where(Message.conversation_id == _CONVERSATION, Message.id == _LEAF)


def _values(conversation_id: str, leaf_id: str | None, limit: int | None) -> dict[str, Any]:
    """Values for the parameters of the statements."""
    limit = _LONGEST if limit is None else limit
    return {"conversation": conversation_id, "leaf": leaf_id, "limit": limit}


def _path() -> CTE:
    """Ids from the leaf upwards, with their distance from it."""
    start = select(Message.id, Message.parent_id, literal(0).label("depth")).where(
        Message.conversation_id == _CONVERSATION, Message.id == _LEAF
    )
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
_HISTORY = (
    select(Message.id, Message.role, func.coalesce(Message.prompt, Message.content))
    .join(_PATH, Message.id == _PATH.c.id)
    .where(Message.conversation_id == _CONVERSATION)
    .order_by(_PATH.c.depth.desc())
)
