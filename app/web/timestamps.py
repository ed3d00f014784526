"""Times on the wire: ISO 8601 in UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def shown(milliseconds: int) -> str:
    """A time in milliseconds since 1970, as the wire has it."""
    # Not by way of seconds: a float may lose the last millisecond.
    moment = _EPOCH + milliseconds * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: str) -> int:
    """A time of the wire in milliseconds since 1970; raises ValueError where there is no such."""
    return (datetime.fromisoformat(moment) - _EPOCH) // _MILLISECOND


def _possible(moment: str) -> str:
    if milliseconds(moment) < 0:
        raise ValueError("must not be before 1970")
    return moment


Moment = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        examples=["2026-08-01T12:00:00.000Z"],
    ),
    AfterValidator(_possible),
]
"""A time, like 2026-08-01T12:00:00.000Z."""
