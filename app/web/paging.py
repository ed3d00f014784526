"""Pages of lists: how much is asked for, and cursors that say where the next page begins.

A cursor is the key of the last item shown, so what is added or used meanwhile neither repeats nor
hides an item. To clients it is opaque.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from app.errors import InvalidRequest
from app.web.schema import Plain, WireModel

LARGEST = 1000
"""Items of one page."""


class PageQuery(BaseModel):
    """What follows the question mark. Numbers come as text there, so this one is not strict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=LARGEST)] | None = Field(
        None, description="Items of the page; left out, PAGE_SIZE."
    )
    cursor: str | None = Field(None, description="`next_cursor` of the page before.")


class Place(NamedTuple):
    """The key of an item: a number it is sorted by, and its id."""

    at: int
    id: str


class _Cursor(WireModel):
    scope: str
    at: Annotated[int, Field(ge=0, lt=2**63)]
    id: Annotated[Plain, Field(max_length=200)]


def cursor(place: Place, *scope: str) -> str:
    """Name a place in the list that ``scope`` tells from all others."""
    told = _Cursor(scope=_digest(scope), at=place.at, id=place.id).model_dump_json()
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def place(cursor: str | None, *scope: str) -> Place | None:
    """The place that a cursor names; raises InvalidRequest where it is not of this list."""
    if cursor is None:
        return None
    try:
        told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        found = _Cursor.model_validate_json(told)
    except ValueError:
        raise foreign() from None
    if found.scope != _digest(scope):
        raise foreign()
    return Place(found.at, found.id)


def foreign() -> InvalidRequest:
    """The refusal of a cursor that this list did not give."""
    told = "This is no cursor of this list: send next_cursor of the page before, or none."
    return InvalidRequest("/cursor", told)


def _digest(scope: tuple[str, ...]) -> str:
    return hashlib.blake2b("\0".join(scope).encode(), digest_size=6).hexdigest()
