"""Pages of lists: the protocol's cursors are those of every other list here."""

from __future__ import annotations

import mcp_types as types

from app.storage import cursors
from app.storage.cursors import CursorKey

PAGE = 100
"""Items of one page."""


def began_after(params: types.PaginatedRequestParams | None, *scope: str) -> CursorKey | None:
    """The last key of the page before; raises InvalidRequest for a cursor of another list."""
    return cursors.decode(params.cursor if params else None, *scope)
