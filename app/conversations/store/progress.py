"""Running answers in the database: their texts so far, their leases, and who is to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, select, tuple_, update
from sqlalchemy.orm import Session

from app.conversations.store.turns import LEASE_MILLISECONDS
from app.storage.ids import now
from app.storage.tables import Message

_LOCK_RUNNING = (
    select(Message.seq, Message.id, Message.stopping)
    .where(
        Message.conversation_id.in_(bindparam("conversations", expanding=True)),
        Message.status == "generating",
    )
    .order_by(Message.seq)
    .with_for_update(key_share=True, skip_locked=True)
)
_STATUS = select(Message.id, Message.status, Message.stopping).where(
    tuple_(Message.conversation_id, Message.id).in_(bindparam("answers", expanding=True))
)
_RENEW_LEASE = (
    update(Message).where(Message.seq == bindparam("number")).values(lease_until=bindparam("lease"))
)
_SAVE_TEXT = _RENEW_LEASE.values(content=bindparam("text"))


@dataclass(frozen=True, slots=True)
class AnswerProgress:
    """The text so far of a running answer; None: as it is stored."""

    conversation_id: str
    answer_id: str
    text: str | None


def save_progress(session: Session, answers: Sequence[AnswerProgress]) -> dict[str, bool | None]:
    """Store texts and renew leases; by answer id: whether to stop, None if the answer is gone.

    Answers that another transaction has locked are left out: they are being ended or stopped.
    """
    running = _lock_running(session, answers)
    lease = now() + LEASE_MILLISECONDS
    texts: list[dict[str, Any]] = []
    unchanged: list[dict[str, Any]] = []
    for each in answers:
        if row := running.get(each.answer_id):
            (unchanged if each.text is None else texts).append(
                {"number": row.seq, "text": each.text, "lease": lease}
            )
    connection = session.connection()  # the session's own overhead would double the time
    for statement, rows in ((_RENEW_LEASE, unchanged), (_SAVE_TEXT, texts)):
        if rows:
            connection.execute(statement, rows)
    missing = [each for each in answers if each.answer_id not in running]
    return {name: row.stopping for name, row in running.items()} | _gone_or_ended(session, missing)


def _lock_running(
    session: Session, answers: Sequence[AnswerProgress]
) -> dict[str, Row[int, str, bool]]:
    """Lock those of the answers that are still running, and that nobody else has locked."""
    wanted = {each.answer_id for each in answers}
    rows = session.execute(
        _LOCK_RUNNING, {"conversations": [each.conversation_id for each in answers]}
    )
    return {row.id: row for row in rows if row.id in wanted}


def _gone_or_ended(session: Session, answers: Sequence[AnswerProgress]) -> dict[str, bool | None]:
    """None for answers whose conversation was deleted, False for those that count as abandoned."""
    if not answers:
        return {}
    ids = [(each.conversation_id, each.answer_id) for each in answers]
    rows = {row.id: row for row in session.execute(_STATUS, {"answers": ids})}
    gone = {each.answer_id: None for each in answers if each.answer_id not in rows}
    return gone | {name: row.stopping for name, row in rows.items() if row.status != "generating"}
