"""Scripts for ``scripted.make`` that write a given text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.provider.scripted import _letters

_LETTERS = _letters()
LONGEST = 12
"""Letters of a token of ordinary text."""


class Script(NamedTuple):
    """The tokens of a text, and those among them that the vocabulary has to get."""

    tokens: list[str]
    normal: list[str]


def script_of(text: str, control: Sequence[str] = ()) -> Script:
    """Cut a text into tokens, of which none comes twice: a token says which one follows.

    A control token stands where the text first spells it, if that can be; everything else is
    ordinary text.
    """
    tokens = _cut(text, control, ())
    assert tokens is not None, f"{text!r} cannot be cut into tokens of their own"
    spelled = [token if token in control else _spelled(token) for token in tokens]
    return Script(spelled, [token for token in spelled if token not in control])


def _cut(text: str, control: Sequence[str], used: tuple[str, ...]) -> tuple[str, ...] | None:
    """``used`` with further tokens that make up the text; None where there are none."""
    if not text:
        return used
    marks = [one for one in control if text.startswith(one)]
    for token in [*marks, *(text[:length] for length in range(2, min(len(text), LONGEST) + 1))]:
        if token in used or any(token.find(one, 1) > 0 for one in control if one not in used):
            continue
        if found := _cut(text[len(token) :], control, (*used, token)):
            return found
    return None


def _spelled(piece: str) -> str:
    """A piece of text in the vocabulary's letters for bytes."""
    return "".join(_LETTERS[byte] for byte in piece.encode())
