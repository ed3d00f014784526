"""Escapes special tokens in users' texts, which only a template may write."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby, takewhile

_TOKEN = re.compile(r"[^\s▁].*[^\s▁]", re.DOTALL)
"""Tokens that can begin or end a turn: not single characters or white space (``▁`` is a space)."""

_DEEPEST = 16
"""Groups within groups of a pattern; more would be too deep for the compiler."""

_NEUTRAL = "\ufdd1"


class SpecialTokenEscaper:
    """Cuts every spelling of a special token in two, so that it is tokenised as ordinary text.

    ``spellings`` are those of the tokens. ``normalized`` normalises a text as the tokenizer does:
    that may spell a token that the text itself does not (full-width letters, capitals). Spellings
    that are ``kept`` stay whole while the template runs, and are cut if they are still there after
    that.
    """

    def __init__(
        self,
        spellings: Iterable[str],
        normalized: Callable[[str], str],
        kept: Collection[str] = (),
    ) -> None:
        raw = set(spellings)
        texts = [text for text in {*raw, *map(normalized, raw)} if _TOKEN.search(text)]
        # The first character only, so that overlapping spellings are all found. The cut is not
        # beside white space, which a tokeniser may add or change where a piece begins.
        pattern = rf"(?=(?:{_any_of(_prefix_free(texts))}))[\s▁]*." if texts else "(?!)"
        self._first = re.compile(pattern, re.DOTALL)
        edges = {character for text in texts for character in (text[0], text[-1])}
        self._edges = {ord(edge): _NEUTRAL for edge in edges if not edge.isalnum()}
        self._normalized = normalized
        self._kept = tuple(kept)
        self._cut = f"\ufdd0{secrets.token_hex(8)}\ufdd0"
        self._later = f"\ufdd0{secrets.token_hex(8)}\ufdd0"
        self._marks = re.compile(f"({self._cut}|{self._later})")

    def escape(self, text: str, *, keep: bool = False) -> str:
        """Mark where the text has to be cut before it is tokenised.

        With ``keep``, spellings that are kept are only marked, so that the template finds them.
        """
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        cut = self._kept_or_cut if keep else self._with_cut
        pieces = self._marks.split(self._first.sub(cut, text))
        return "".join(self._piece(piece, cut, keep=keep) for piece in pieces)

    def _piece(self, piece: str, cut: Callable[[re.Match[str]], str], *, keep: bool) -> str:
        """Escape a piece between marks; normalised where only that spells a token."""
        normal = self._normalized(piece)
        return self._first.sub(cut, normal) if self.count(normal, kept=not keep) else piece

    def _with_cut(self, match: re.Match[str]) -> str:
        return match.group() + self._cut

    def _kept_or_cut(self, match: re.Match[str]) -> str:
        if self._is_kept(match):
            return self._later + match.group()
        return self._with_cut(match)

    def _is_kept(self, match: re.Match[str]) -> bool:
        return match.string.startswith(self._kept, match.start())

    def settle(self, rendered: str) -> str:
        """Cut the kept spellings that the template has not taken out.

        Marks that a template has written as escapes, in JSON or as Python does, are marks again.
        """
        for mark in (self._cut, self._later):
            rendered = rendered.replace(mark.replace("\ufdd0", "\\ufdd0"), mark)
        first, *others = rendered.split(self._later)
        settled = (
            f"{one[0]}{self._cut}{one[1:]}" if one.startswith(self._kept) else one for one in others
        )
        return first + "".join(settled)

    def pieces(self, rendered: str) -> list[str]:
        """A rendered prompt cut at the marks: each piece is tokenised by itself."""
        return rendered.split(self._cut)

    def count(self, text: str, *, kept: bool = False) -> int:
        """How many special tokens a text spells, with or without those that are kept."""
        return sum(kept or not self._is_kept(match) for match in self._first.finditer(text))

    def neutral(self, text: str) -> str:
        """The text without the characters that special tokens begin and end with."""
        return text.translate(self._edges)


def _prefix_free(texts: Iterable[str]) -> list[str]:
    """Sorted, without those that begin with another one."""
    found: list[str] = []
    for text in sorted(texts):
        if not found or not text.startswith(found[-1]):
            found.append(text)
    return found


def _any_of(texts: Sequence[str], depth: int = 0) -> str:
    """A pattern for any of the texts that shares common beginnings: there may be thousands."""
    if depth == _DEEPEST:
        return "|".join(map(re.escape, texts))
    return "|".join(_beginnings(texts, depth))


def _beginnings(texts: Sequence[str], depth: int) -> Iterator[str]:
    for _, group in groupby(texts, key=lambda text: text[0]):
        alike = list(group)
        start = _common_start(alike[0], alike[-1])
        rests = [text[len(start) :] for text in alike]
        yield re.escape(start) + (f"(?:{_any_of(rests, depth + 1)})" if rests != [""] else "")


def _common_start(first: str, last: str) -> str:
    """The common beginning of the first and last of sorted texts, and so of all of them."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(character for character, _ in pairs)
