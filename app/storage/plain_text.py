"""Text that every engine and every database can hold."""

from __future__ import annotations


def is_plain(text: str) -> bool:
    """Whether a text holds no NUL and no half of a surrogate pair."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)
