"""Small statements that show how a database is."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

TOUCH = text("UPDATE alembic_version SET version_num = version_num")
"""Writes, and changes nothing."""


def is_read_only(session: Session) -> bool:
    """Whether PostgreSQL takes no writes now, as a standby does. Asks SQLite for a sign of life."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("SELECT 1"))
        return False
    return bool(session.scalar(text("SHOW transaction_read_only")) == "on")


def free_in_file(session: Session) -> int:
    """Bytes of an SQLite file that hold nothing and can be written over."""
    pages: int = session.scalar(text("PRAGMA freelist_count")) or 0
    return pages * (session.scalar(text("PRAGMA page_size")) or 0)
