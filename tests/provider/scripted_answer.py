"""Scripts for ``scripted.make`` that write a given text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.provider.scripted import _letters

_LETTERS = _letters()


class Script(NamedTuple):
    """The tokens of a text, and those among them that the vocabulary has to get."""

    tokens: list[str]
    normal: list[str]


def script_of(text: str, control: Sequence[str] = ()) -> Script:
    """Cut a text into tokens, of which none comes twice: a token says which one follows.

    A control token stands where the text first spells it, later ordinary text of the same letters.
    """
    tokens: list[str] = []
    normal: list[str] = []
    while text:
        mark = next((one for one in control if text.startswith(one) and one not in tokens), "")
        if not mark:
            piece = _piece(text, [one for one in control if one not in tokens], normal)
            normal.append(_spelled(piece))
        tokens.append(mark or normal[-1])
        text = text[len(mark or piece) :]
    return Script(tokens, normal)


def _piece(text: str, control: Sequence[str], used: Sequence[str]) -> str:
    """The shortest beginning of at least two letters that is new and ends before a control token."""
    for length in range(2, len(text) + 1):
        ends = any(text.startswith(one, length) for one in control)
        inside = any(text.startswith(one, at) for one in control for at in range(1, length))
        if not inside and (ends or len(text) - length != 1) and _spelled(text[:length]) not in used:
            return text[:length]
    raise AssertionError(f"{text!r} cannot be cut into tokens of their own")


def _spelled(piece: str) -> str:
    """A piece of text in the vocabulary's letters for bytes."""
    return "".join(_LETTERS[byte] for byte in piece.encode())
