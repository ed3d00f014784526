"""Turns errors of a database into sentences."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, OperationalError

from app.storage.database_file import FULL

READ_ONLY = "The database is read-only: the server needs the right to write to it."

DISK_FAILED = "The disk of the database failed: see the server's log."

LASTING_FAILURES = frozenset({FULL, READ_ONLY, DISK_FAILED})
"""Failures that last until an administrator acts; the health check reports them."""


def first_line(error: DBAPIError) -> str:
    """The first line of the database's message; the next lines may hold values of rows."""
    return str(error.orig).partition("\n")[0].rstrip(" .")


def client_message(error: DBAPIError) -> str:
    """The sentence for clients, which names no file, table or address."""
    reason = str(error.orig).lower()
    if "full" in reason or "no space" in reason:
        return FULL
    if "lock" in reason:
        return "Another program keeps the database locked: try again."
    if "readonly" in reason or "read-only" in reason:
        return READ_ONLY
    if "i/o error" in reason:
        return DISK_FAILED
    if isinstance(error, OperationalError):
        return "The database cannot be reached: try again."
    return "The database refused this: see the server's log."
