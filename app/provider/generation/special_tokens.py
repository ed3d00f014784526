"""Keeps texts of users from being read as tokens that only a template may write."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable

_TOKEN = re.compile(r"\S.*\S", re.DOTALL)
"""What can begin or end a turn: white space and single characters cannot."""


class SpecialTokenEscaper:
    """Cuts every spelling of a special token in two, so that it is tokenised as ordinary text.

    ``spellings`` are those of the tokens; ``normalized`` gives a text as the tokeniser sees it,
    which may spell a token that the text itself does not (full-width letters, capitals).
    Spellings that are ``kept`` are whole while the template works on the text, and cut if they
    are still there after that.
    """

    def __init__(
        self,
        spellings: Iterable[str],
        normalized: Callable[[str], str],
        kept: Collection[str] = (),
    ) -> None:
        texts = sorted({text for text in spellings if _TOKEN.fullmatch(text)}, key=len)
        choices = "|".join(re.escape(text) for text in reversed(texts))
        # The first character only, so that overlapping spellings are all found.
        self._first = re.compile(f"(?=(?:{choices})).", re.DOTALL) if choices else None
        self._normalized = normalized
        self._kept = tuple(kept)
        self._cut = f"\ufdd0{secrets.token_hex(8)}\ufdd0"
        self._later = f"\ufdd0{secrets.token_hex(8)}\ufdd0"

    def escape(self, text: str, *, keep: bool = False) -> str:
        """Mark where the text has to be cut before it is tokenised.

        ``keep``: what is kept is only marked, so that the template finds it.
        """
        if self._first is None:
            return text
        normal = self._normalized(text)
        if len(self._first.findall(normal)) > len(self._first.findall(text)):
            text = normal
        return self._first.sub(self._kept_or_cut if keep else self._with_cut, text)

    def _with_cut(self, match: re.Match[str]) -> str:
        return match.group() + self._cut

    def _kept_or_cut(self, match: re.Match[str]) -> str:
        if match.string.startswith(self._kept, match.start()):
            return self._later + match.group()
        return self._with_cut(match)

    def settle(self, rendered: str) -> str:
        """Cut what was kept and the template has not taken out."""
        first, *others = rendered.split(self._later)
        settled = (
            f"{one[0]}{self._cut}{one[1:]}" if one.startswith(self._kept) else one for one in others
        )
        return first + "".join(settled)

    def pieces(self, rendered: str) -> list[str]:
        """A rendered prompt cut at the marks: each piece is tokenised by itself."""
        return rendered.split(self._cut)
