"""N-grams of texts: every run of one, two and three letters of every word.

If a query's word is a part of a word of a text, the text has all three-letter runs of the query's
word. The reverse is not always true, so ``contains_words`` checks the candidates. This works for
languages without spaces and for words of two letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from zlib import crc32


class _Letters(dict[int, str]):
    """Maps a letter, digit or combining mark to itself and everything else to a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if unicodedata.category(character)[0] in "LNM" else " "
        return self[code]


_LETTERS = _Letters()


# A letter of these ranges never combines with the one before it, so a text may be cut there.
# Other pieces have a limit: the time to normalise grows with the square of a run of accents.
_PIECES = re.compile(
    r".{1,1024}(?=[\x00-\x7f\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3]|\Z)|.{1,1024}",
    re.DOTALL,
)


def words(text: str) -> list[str]:
    """The words of a text, without differences of case and of compatibility forms.

    Text is processed in pieces, because each step holds the interpreter's lock.
    """
    return "".join(_folded(piece) for piece in _PIECES.findall(text)).split()


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_LETTERS)


def text_grams(text: str, *tags: str) -> list[str]:
    """Everything that is indexed of a text: tags and grams, each once."""
    found = dict.fromkeys(tags)
    for word in words(text):
        for start in range(len(word)):
            for length in (1, 2, 3):
                found[word[start : start + length]] = None
    return list(found)


def required_grams(wanted: Iterable[str]) -> list[str]:
    """The grams that a text with these words must have."""
    runs = (word[at : at + 3] for word in wanted for at in range(max(1, len(word) - 2)))
    return list(dict.fromkeys(runs))


def contains_words(text: str, wanted: Sequence[str]) -> bool:
    """Whether each word is part of a word of the text."""
    folded = text.lower() if text.isascii() else " ".join(words(text))
    return all(word in folded for word in wanted)


def owner_tag(owner: str) -> str:
    """A gram for the owner that no text contains; two owners may have the same one."""
    return f"\ue000{crc32(owner.encode()):x}"


def conversation_tag(conversation_id: str) -> str:
    """A gram for the conversation that no text contains; two may have the same one."""
    return f"\ue001{crc32(conversation_id.encode()):x}"
