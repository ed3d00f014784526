"""Small statements that test the state of a database."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

WRITE_PROBE = text("UPDATE alembic_version SET version_num = version_num")
"""Writes without changing anything."""


def is_read_only(session: Session) -> bool:
    """Whether PostgreSQL refuses writes, as a standby does. SQLite only has to answer."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("SELECT 1"))
        return False
    return bool(session.scalar(text("SHOW transaction_read_only")) == "on")


def free_page_bytes(session: Session) -> int:
    """Bytes of free pages inside an SQLite file, which it can reuse."""
    pages: int = session.scalar(text("PRAGMA freelist_count")) or 0
    return pages * (session.scalar(text("PRAGMA page_size")) or 0)
