"""Lists of conversations: the last used first, or what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from app.conversations.store import search
from app.conversations.store.ngrams import words
from app.storage.tables import Conversation

LONGEST_SNIPPET = 160
BEFORE_MATCH = 40
"""Characters of it that stand before what was looked for."""


@dataclass(frozen=True, slots=True)
class ConversationHead:
    """What a list shows of a conversation; its model and template are named in its setup."""

    id: str
    title: str
    created_at: int
    updated_at: int
    active_leaf_id: str | None
    model: str | None
    template: str | None


HEAD = (
    Conversation.id,
    Conversation.title,
    Conversation.created_at,
    Conversation.updated_at,
    Conversation.active_leaf_id,
    Conversation.setup["model"].as_string(),
    Conversation.setup[("template", "name")].as_string(),
)


def newest(
    session: Session, owner: str, limit: int, before: tuple[int, str] | None
) -> list[ConversationHead]:
    """A page of conversations, the last used first; ``before`` is the key of the last one seen."""
    key = tuple_(Conversation.updated_at, Conversation.id)
    page = select(*HEAD).where(Conversation.owner == owner)
    if before:
        page = page.where(key < before)
    ordered = page.order_by(Conversation.updated_at.desc(), Conversation.id.desc())
    return [ConversationHead(*row) for row in session.execute(ordered.limit(limit))]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A conversation that a search found, and where: ``seq`` is that of its newest match."""

    head: ConversationHead
    seq: int
    message_id: str
    snippet: str


def found(
    session: Session, owner: str, query: str, limit: int, before: int | None
) -> list[SearchHit]:
    """A page of what a search finds, newest match first; ``before`` is the last ``seq`` seen."""
    matches = search.find(session, owner, query, limit, before)
    wanted = select(*HEAD).where(Conversation.id.in_([one.conversation_id for one in matches]))
    heads = {row.id: ConversationHead(*row) for row in session.execute(wanted)}
    sought = words(query)
    return [
        SearchHit(heads[one.conversation_id], one.seq, one.message_id, snippet(one.content, sought))
        for one in matches
    ]


def snippet(content: str, sought: Sequence[str]) -> str:
    """One line of the text around the first of the words, or its beginning: they may be elsewhere.

    In the title, that is, or in the text in another form of the same letters.
    """
    folded = content.casefold()
    places = [place for word in sought if (place := folded.find(word)) >= 0]
    start = max(0, min(places, default=0) - BEFORE_MATCH)
    end = start + LONGEST_SNIPPET
    line = " ".join(content[start:end].split())
    return f"{'…' if start else ''}{line}{'…' if end < len(content) else ''}"
