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


def split_at_mark(text: str, marks: Collection[str]) -> tuple[str, str, str]:
    """The text before the first mark, the mark, and the text from the mark on.

    Where there is none, the mark is empty, and the third is what could grow into one.
    """
    found = first_mark(text, marks)
    length = found[0] if found else len(text) - partial_mark(text, marks)
    return text[:length], found[1] if found else "", text[length:]
