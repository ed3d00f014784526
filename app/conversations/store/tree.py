"""Branches: the way from a message up to the root of its tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import CTE, BindParameter, bindparam, func, literal, select
from sqlalchemy.orm import Session, aliased, defer

from app.conversations.errors import MessageNotFound
from app.conversations.store import images
from app.conversations.store.images import Attached
from app.provider.types import Role
from app.storage.tables import Message


@dataclass(frozen=True, slots=True)
class Said:
    """One message as the model reads it. ``images`` are there once ``pictured`` has been asked."""

    id: str
    role: Role
    text: str
    images: tuple[Attached, ...] = ()


def message(session: Session, conversation_id: str, message_id: str) -> Message:
    """One message of a conversation; raises MessageNotFound."""
    place = {"conversation": conversation_id, "leaf": message_id}
    # PostgreSQL refuses to look for a NUL.
    if "\0" in message_id or (found := session.scalar(_MESSAGE, place)) is None:
        raise MessageNotFound(message_id)
    return found


def branch(
    session: Session, conversation_id: str, leaf_id: str | None, limit: int | None
) -> list[Message]:
    """The ``limit`` messages that end with ``leaf_id``, or all, oldest first."""
    return list(session.scalars(_BRANCH, _place(conversation_id, leaf_id, limit)))


def history(session: Session, conversation_id: str, leaf_id: str | None) -> list[Said]:
    """All that was said up to ``leaf_id``, oldest first, without questions that got no answer."""
    rows = session.execute(_HISTORY, _place(conversation_id, leaf_id, None))
    return _answered([Said(name, cast("Role", role), text) for name, role, text in rows])


def _answered(said: list[Said]) -> list[Said]:
    """Leave out empty answers and what was asked before them."""
    kept: list[Said] = []
    for one in said:
        if one.role == "assistant" and not one.text:
            if kept and kept[-1].role == "user":
                kept.pop()
        else:
            kept.append(one)
    return kept


def pictured(session: Session, conversation_id: str, said: Sequence[Said], most: int) -> list[Said]:
    """The same with their pictures: the last ``most`` with content, those before without."""
    found: dict[str, tuple[Attached, ...]] = {}
    for use in images.uses(session, conversation_id):
        found[use.message_id] = (*found.get(use.message_id, ()), use.image)
    if not found:
        return list(said)
    told = [replace(one, images=found.get(one.id, ())) for one in said]
    every = [image.sha256 for one in told for image in one.images]
    bare = max(0, len(every) - most)
    contents = images.contents(session, set(every[bare:]))
    for at, one in enumerate(told):
        kept = one.images[bare:]
        filled = [replace(image, content=contents[image.sha256]) for image in kept]
        told[at] = replace(one, images=(*one.images[:bare], *filled))
        bare = max(0, bare - len(one.images))
    return told


# ---------------------------------------------------------------- statements

# Made once: making them takes longer than running them.

_LONGEST = 2**31 - 1
"""More messages than any branch has."""

_CONVERSATION: BindParameter[str] = bindparam("conversation")
_LEAF: BindParameter[str | None] = bindparam("leaf")
_MESSAGE = select(Message).where(Message.conversation_id == _CONVERSATION, Message.id == _LEAF)


def _place(conversation_id: str, leaf_id: str | None, limit: int | None) -> dict[str, Any]:
    """What the statements are told."""
    limit = _LONGEST if limit is None else limit
    return {"conversation": conversation_id, "leaf": leaf_id, "limit": limit}


def _way() -> CTE:
    """Ids from the leaf upwards, with their distance from it."""
    start = select(Message.id, Message.parent_id, literal(0).label("depth")).where(
        Message.conversation_id == _CONVERSATION, Message.id == _LEAF
    )
    way = start.cte("way", recursive=True)
    parent = aliased(Message)
    up = select(parent.id, parent.parent_id, way.c.depth + 1).where(
        parent.conversation_id == _CONVERSATION,
        parent.id == way.c.parent_id,
        way.c.depth + 1 < bindparam("limit"),
    )
    return way.union_all(up)


_WAY = _way()
_BRANCH = (
    select(Message)
    .options(defer(Message.prompt))
    .join(_WAY, Message.id == _WAY.c.id)
    .where(Message.conversation_id == _CONVERSATION)
    .order_by(_WAY.c.depth.desc())
)
_HISTORY = (
    select(Message.id, Message.role, func.coalesce(Message.prompt, Message.content))
    .join(_WAY, Message.id == _WAY.c.id)
    .where(Message.conversation_id == _CONVERSATION)
    .order_by(_WAY.c.depth.desc())
)
