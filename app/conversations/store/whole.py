"""Conversations with all of their messages: tool calls, tool results and developer messages too."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BindParameter, Row, bindparam, select
from sqlalchemy.orm import Session, defer

from app.conversations.store import conversations, parts, tree
from app.conversations.store.extras import EXTRA_OF_MESSAGE, IS_UNLISTED
from app.conversations.store.rows import ConversationRow
from app.provider.types import Part
from app.storage.tables import Conversation, Message, MessageExtra

_CONVERSATION: BindParameter[str] = bindparam("conversation")
_WITH_EXTRAS = select(Message, MessageExtra).outerjoin(MessageExtra, EXTRA_OF_MESSAGE)
_PATH = tree.whole_path(bindparam("leaf"))
_BRANCH = (
    _WITH_EXTRAS.options(defer(Message.prompt))
    .join(_PATH, Message.seq == _PATH.c.seq)
    .order_by(_PATH.c.depth)
    .limit(bindparam("limit"))
)
_BEHIND = (
    select(Message.id, IS_UNLISTED)
    .where(Message.conversation_id == _CONVERSATION)
    .order_by(Message.seq.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class WholeMessage:
    """A message with all of its parts; ``parts`` is empty if it is images and one text.

    ``previous_id`` is the message directly before it, listed or not.
    """

    row: Message
    listed: bool = True
    previous_id: str | None = None
    parts: tuple[Part, ...] = ()


def branch(
    session: Session, owner: str, conversation_id: str, limit: int, leaf_id: str | None
) -> tuple[Conversation, list[WholeMessage]]:
    """A conversation and the last messages up to ``leaf_id``, by default to the end of the branch.

    Oldest first. Raises ConversationNotFound.
    """
    found = conversations.find_owned(session, owner, conversation_id)
    leaf_id = leaf_id or end_of_branch(session, found)
    values = {"conversation": found.id, "leaf": leaf_id, "limit": limit}
    return found, [_whole(row) for row in session.execute(_BRANCH, values)][::-1]


def end_of_branch(session: Session, found: Conversation | ConversationRow) -> str | None:
    """The unlisted message that is the newest one behind the active leaf, else the leaf itself."""
    leaf_id = found.active_leaf_id
    below = Message.parent_id == leaf_id if leaf_id else Message.parent_id.is_(None)
    newest = session.execute(_BEHIND.where(below), {"conversation": found.id}).first()
    return newest[0] if newest and newest[1] else leaf_id


def messages(
    session: Session, owner: str, conversation_id: str, limit: int | None, before: int | None
) -> tuple[Conversation, list[WholeMessage]]:
    """A conversation and its last messages before that ``seq``, or all, oldest first.

    Raises ConversationNotFound.
    """
    found = conversations.find_owned(session, owner, conversation_id)
    page = select(Message.seq).where(Message.conversation_id == found.id)
    if before is not None:
        page = page.where(Message.seq < before)
    # A subquery without texts: SQLite would sort them along with the numbers.
    last = page.order_by(Message.seq.desc()).limit(limit).subquery()
    shown = _WITH_EXTRAS.join(last, Message.seq == last.c.seq).order_by(Message.seq)
    return found, [_whole(row) for row in session.execute(shown)]


def _whole(found: Row[Message, MessageExtra | None]) -> WholeMessage:
    row, extra = found
    if extra is None:
        return WholeMessage(row, previous_id=row.parent_id)
    shown = parts.from_values(extra.parts, row.content) if extra.parts else ()
    return WholeMessage(row, extra.listed, extra.previous_id or row.parent_id, shown)
