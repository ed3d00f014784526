"""Text that every engine and every database can hold: no NUL, no half of a surrogate pair."""

from __future__ import annotations


def fault_of(text: str) -> str | None:
    """What is wrong with a text, to follow its name in a sentence; None if nothing is."""
    if "\0" in text:
        return "must not contain the character NUL"
    if not text.isascii() and any("\ud800" <= one <= "\udfff" for one in text):
        return "must not contain half of a surrogate pair"
    return None


def is_plain(text: str) -> bool:
    """Whether nothing is wrong with a text."""
    return fault_of(text) is None
