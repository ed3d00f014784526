"""Marks inside a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Collection


def partial_mark(text: str, marks: Collection[str]) -> int:
    """Length of the longest end of the text that could grow into one of the marks."""
    longest = min(len(text), max(map(len, marks), default=1) - 1)
    ends = (text[-length:] for length in range(longest, 0, -1))
    return next((len(end) for end in ends if any(mark.startswith(end) for mark in marks)), 0)


def first_mark(text: str, marks: Collection[str]) -> tuple[int, str] | None:
    """Where the first of the marks stands, and which it is; the longer one of two."""
    places = [(at, -len(mark), mark) for mark in marks if (at := text.find(mark)) >= 0]
    if not places:
        return None
    at, _, mark = min(places)
    return at, mark
