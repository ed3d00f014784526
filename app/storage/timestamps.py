"""Times as the database keeps them, in milliseconds since 1970, and as text (ISO 8601, UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def isoformat(milliseconds: int) -> str:
    """A time as text, to the millisecond: 2026-08-01T12:00:00.000Z."""
    # Without a conversion to seconds: a float may lose the last millisecond.
    moment = _EPOCH + milliseconds * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: str) -> int:
    """The milliseconds of a time as text; raises ValueError for a time that does not exist."""
    return (datetime.fromisoformat(moment) - _EPOCH) // _MILLISECOND
