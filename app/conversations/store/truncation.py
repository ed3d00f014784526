"""Where the context window of a branch begins, as decided by an earlier turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.conversations.store.tree import HistoryMessage
from app.storage.ids import now
from app.storage.tables import Truncation

TruncationKind = Literal["dropped", "summarised"]


_TRUNCATIONS = select(Truncation.message_id, Truncation.summary).where(
    Truncation.conversation_id == bindparam("conversation"), Truncation.kind == bindparam("kind")
)


@dataclass(frozen=True, slots=True)
class WindowStart:
    """The index of the window's first message; ``summary`` replaces the messages before it."""

    index: int = 0
    summary: str | None = None


def window_start(
    session: Session,
    conversation_id: str,
    kind: TruncationKind,
    history: Sequence[HistoryMessage],
) -> WindowStart:
    """The last truncation of that kind on the branch ``history``."""
    values = {"conversation": conversation_id, "kind": kind}
    found = {
        row.message_id: row.summary for row in session.connection().execute(_TRUNCATIONS, values)
    }
    for at in range(len(history), 0, -1):
        if history[at - 1].id in found:
            return WindowStart(at, found[history[at - 1].id])
    return WindowStart()


def add_truncation(
    session: Session,
    conversation_id: str,
    kind: TruncationKind,
    message_id: str,
    summary: str | None,
) -> None:
    """Record that the windows of later turns begin after ``message_id``."""
    row = Truncation(
        conversation_id=conversation_id,
        message_id=message_id,
        kind=kind,
        summary=summary,
        created_at=now(),
    )
    session.add(row)
