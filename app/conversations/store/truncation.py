"""Where the model's view of a branch begins, as an earlier turn decided it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.conversations.store.tree import Said
from app.storage.ids import now
from app.storage.tables import Cut

CutKind = Literal["dropped", "summarised"]


_CUTS = select(Cut.message_id, Cut.summary).where(
    Cut.conversation_id == bindparam("conversation"), Cut.kind == bindparam("kind")
)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The messages before ``at`` are left out of the view; ``summary`` stands for them."""

    at: int = 0
    summary: str | None = None


def beginning(
    session: Session, conversation_id: str, kind: CutKind, said: Sequence[Said]
) -> Beginning:
    """The last cut of that kind on a branch."""
    asked = {"conversation": conversation_id, "kind": kind}
    found = {row.message_id: row.summary for row in session.execute(_CUTS, asked)}
    for at in range(len(said), 0, -1):
        if said[at - 1].id in found:
            return Beginning(at, found[said[at - 1].id])
    return Beginning()


def cut(
    session: Session, conversation_id: str, kind: CutKind, message_id: str, summary: str | None
) -> None:
    """Let later turns begin after ``message_id``."""
    made = Cut(
        conversation_id=conversation_id,
        message_id=message_id,
        kind=kind,
        summary=summary,
        created_at=now(),
    )
    session.add(made)
