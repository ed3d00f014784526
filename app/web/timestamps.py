"""Times on the wire: ISO 8601 in UTC, to the millisecond."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from app.storage.timestamps import milliseconds


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
