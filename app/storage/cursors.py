"""Cursors: where the next page of a list begins.

A cursor is the key of the last item shown, so what is added or used meanwhile neither repeats nor
hides an item. To clients it is opaque.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, NamedTuple

from app.errors import InvalidRequest
from app.storage.plain_text import is_plain


class CursorKey(NamedTuple):
    """The key of an item: a number it is sorted by, and its id."""

    at: int
    id: str


def encode(key: CursorKey, *scope: str) -> str:
    """Name a key of a list; ``scope`` distinguishes the list from all others."""
    fields = {"scope": _digest(scope), "at": key.at, "id": key.id}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, *scope: str) -> CursorKey | None:
    """The key that a cursor names; raises InvalidRequest where it is not of this list."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise foreign() from None
    if not _is_key(fields) or fields["scope"] != _digest(scope):
        raise foreign()
    return CursorKey(fields["at"], fields["id"])


def _is_key(fields: Any) -> bool:
    return (
        isinstance(fields, dict)
        and fields.keys() == {"scope", "at", "id"}
        and type(fields["at"]) is int
        and 0 <= fields["at"] < 2**63
        and isinstance(fields["id"], str)
        and len(fields["id"]) <= 200
        and is_plain(fields["id"])
    )


def foreign() -> InvalidRequest:
    """The refusal of a cursor that this list did not give."""
    return InvalidRequest(
        "/cursor",
        "This is no cursor of this list: send next_cursor of the page before, or none.",
    )


def _digest(scope: tuple[str, ...]) -> str:
    return hashlib.blake2b("\0".join(scope).encode(), digest_size=6).hexdigest()
