"""All tokens of a vocabulary with their bytes, for grammars over bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class TokenTable:
    """The bytes of each token in an answer, by id.

    ``special`` tokens are no text: control tokens, unused ones and the ends. A drawn token of
    ``ends`` ends the answer. ``tokenize`` is the model's own; it finds control tokens in a text,
    and may put a space before it.
    """

    pieces: Sequence[bytes]
    special: frozenset[int]
    ends: Sequence[int]
    tokenize: Callable[[str], list[int]]

    @cached_property
    def control_texts(self) -> dict[str, int]:
        """The special tokens by their spellings."""
        named = ((self.pieces[token], token) for token in self.special)
        return {piece.decode("utf-8", "ignore"): token for piece, token in named if piece}

    @cached_property
    def control_pattern(self) -> re.Pattern[str]:
        """Finds the spelling of any special token in a text."""
        spellings = sorted(self.control_texts, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, spellings)) or '(?!)'})")

    def tokens_of(self, text: bytes, *, special: bool = False) -> list[int] | None:
        """The tokens that the model's tokenizer makes of a text; None if they spell another one.

        Only ordinary ones count, unless ``special``. A tokenizer that puts a space before every
        text does so before a line break, too: the tokens after that are those of the text.
        """
        whole = text.decode("utf-8", "ignore")
        found = self.tokenize(whole)
        if self._spells(found, text, special=special):
            return found
        before = self.tokenize("\n")
        found = self.tokenize(f"\n{whole}")[len(before) :]
        return found if self._spells(found, text, special=special) else None

    def _spells(self, tokens: Sequence[int], text: bytes, *, special: bool) -> bool:
        if not (special or self.special.isdisjoint(tokens)):
            return False
        return b"".join(self.pieces[token] for token in tokens) == text
