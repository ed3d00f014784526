"""Lists of conversations: the most recently used, or the results of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from app.conversations.store import search
from app.conversations.store.ngrams import words
from app.errors import InvalidRequest
from app.storage.tables import Conversation

MAX_SNIPPET_LENGTH = 160
BEFORE_MATCH = 40
"""Characters of the snippet before the match."""


@dataclass(frozen=True, slots=True)
class ConversationHead:
    """What a list shows of a conversation."""

    id: str
    title: str
    created_at: int
    updated_at: int
    active_leaf_id: str | None
    model: str | None
    template: str | None


HEAD_COLUMNS = (
    Conversation.id,
    Conversation.title,
    Conversation.created_at,
    Conversation.updated_at,
    Conversation.active_leaf_id,
    Conversation.setup["model"].as_string(),
    Conversation.setup[("template", "name")].as_string(),
)


def list_conversations(
    session: Session, owner: str, limit: int, before: tuple[int, str] | None
) -> list[ConversationHead]:
    """A page of conversations, most recently used first; ``before`` is the last key seen."""
    key = tuple_(Conversation.updated_at, Conversation.id)
    page = select(*HEAD_COLUMNS).where(Conversation.owner == owner)
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


def require_words(query: str) -> None:
    """Raise InvalidRequest for a query in which there is nothing to look for."""
    if not words(query):
        raise InvalidRequest("/query", "A query needs a letter or a digit.")


def search_conversations(
    session: Session, owner: str, query: str, limit: int, before: int | None
) -> list[SearchHit]:
    """A page of search results, newest match first; ``before`` is the last ``seq`` seen."""
    matches = search.find_matches(session, owner, query, limit, before)
    wanted = select(*HEAD_COLUMNS).where(
        Conversation.id.in_([one.conversation_id for one in matches])
    )
    heads = {row.id: ConversationHead(*row) for row in session.execute(wanted)}
    sought = words(query)
    return [
        SearchHit(heads[one.conversation_id], one.seq, one.message_id, snippet(one.content, sought))
        for one in matches
    ]


def snippet(content: str, sought: Sequence[str]) -> str:
    """One line of the text around the first match.

    It is the beginning of the text if the words are only in the title, or if the text has them in
    another Unicode form.
    """
    folded = content.casefold()
    matches = [at for word in sought if (at := folded.find(word)) >= 0]
    start = max(0, min(matches, default=0) - BEFORE_MATCH)
    end = start + MAX_SNIPPET_LENGTH
    line = " ".join(content[start:end].split())
    return f"{'…' if start else ''}{line}{'…' if end < len(content) else ''}"
