"""Cursors: where the next page of a list begins.

A cursor is the key of the last item shown. Items added meanwhile therefore neither repeat nor hide
an item. Clients do not read cursors.
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
    """The cursor of a key; ``scope`` distinguishes the list from all others."""
    fields = {"scope": _digest(scope), "at": key.at, "id": key.id}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, *scope: str) -> CursorKey | None:
    """The key of a cursor; raises InvalidRequest for a cursor of another list."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid_cursor() from None
    if not _is_key(fields) or fields["scope"] != _digest(scope):
        raise invalid_cursor()
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


def invalid_cursor() -> InvalidRequest:
    """The error for a cursor that does not belong to this list."""
    return InvalidRequest(
        "/cursor",
        "This is no cursor of this list: send next_cursor of the page before, or none.",
    )


def _digest(scope: tuple[str, ...]) -> str:
    return hashlib.blake2b("\0".join(scope).encode(), digest_size=6).hexdigest()
