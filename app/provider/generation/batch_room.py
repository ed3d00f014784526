"""Room in a batch whose rows are all as long as the longest one."""

from __future__ import annotations

from collections.abc import Sequence

BLOCK = 256
"""Tokens by which rows grow."""


def fits(rooms: Sequence[int], cells: int) -> bool:
    """Whether rows that may grow to so many tokens each fit into ``cells`` tokens together.

    One row alone always fits.
    """
    if len(rooms) < 2:
        return True
    longest = -(-max(rooms) // BLOCK) * BLOCK
    return longest * len(rooms) <= cells
