"""Turns that begin with messages of any kind, in place of one question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from app.conversations.store import conversations, messages, search, tree, turns, whole
from app.conversations.store.rows import ConversationRow
from app.conversations.store.tree import HistoryMessage, Position
from app.conversations.target import GenerationTarget
from app.errors import InvalidRequest
from app.provider.types import Message as MessageValue
from app.storage.ids import new_id


@dataclass(frozen=True, slots=True)
class Base:
    """What new messages follow: a message, or the end of the active branch (None)."""

    conversation_id: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """New messages, what they follow (None: a new conversation), and what the request said."""

    messages: tuple[MessageValue, ...]
    base: Base | None
    request: dict[str, Any]


def begin(session: Session, given: Input, target: GenerationTarget) -> list[HistoryMessage]:
    """Store the messages and an empty answer behind them; return the branch up to them.

    Raises ConversationNotFound, MessageNotFound, ConversationBusy, and InvalidRequest where there
    is nothing to answer.
    """
    found, position = _place(session, given, target)
    request = {"shown": given.request, "behind": position.last_id}
    added = messages.add_messages(session, found.id, position, given.messages)
    position = added.position
    if position.parent_id is None:
        raise InvalidRequest("/input", "There is no message to answer.")
    search.index_messages(session, found, added.listed)
    below = replace(target, question_id=position.parent_id)
    turns.add_answer(session, below, position.previous_id)
    messages.store_request(session, found.id, target.answer_id, request)
    return tree.history(session, found.id, position.last_id)


def _place(
    session: Session, given: Input, target: GenerationTarget
) -> tuple[ConversationRow, Position]:
    if given.base is None:
        title = title_of(given.messages)
        defaults = target.changed_defaults
        name = target.conversation_id
        return conversations.create(session, target.owner, name, title, defaults), Position()
    found = turns.lock_for_turn(session, target)
    return found, _position(session, found, given.base.message_id)


def title_of(given: Sequence[MessageValue]) -> str:
    """A title from the first question, or from the first message there is."""
    texts = [one.text for one in given if one.role == "user"] or [one.text for one in given]
    return conversations.title_from_question(texts[0] if texts else "")


def _position(session: Session, found: ConversationRow, message_id: str | None) -> Position:
    last_id = message_id or whole.end_of_branch(session, found)
    return tree.position_behind(session, found.id, last_id) if last_id else Position()


def history_of(session: Session, owner: str, base: Base) -> list[HistoryMessage]:
    """The messages up to what new ones follow; raises ConversationNotFound, MessageNotFound."""
    found = conversations.read_row(session, owner, base.conversation_id)
    last_id = _position(session, found, base.message_id).last_id
    return tree.history(session, found.id, last_id) if last_id else []


def create(
    session: Session, owner: str, setup: dict[str, Any], given: Sequence[MessageValue]
) -> str:
    """Store a new conversation with these messages, if any; return its id."""
    made = conversations.create(session, owner, new_id(), title_of(given), setup)
    if given:
        messages.append(session, made, Position(), given)
    return made.id


def append(
    session: Session, owner: str, conversation_id: str, given: Sequence[MessageValue]
) -> list[str]:
    """Store complete messages at the end of the active branch; return their ids.

    Raises ConversationNotFound, and ConversationBusy while an answer is being made.
    """
    found = conversations.read_row(session, owner, conversation_id, lock=True)
    turns.require_idle(session, found)  # nothing may follow an answer that may call tools
    position = _position(session, found, None)
    added = messages.append(session, found, position, given)
    return [row.id for row in added.rows]
