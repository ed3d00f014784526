"""All tokens of a vocabulary with their bytes, for grammars over bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenTable:
    """The bytes of each token in an answer, by id.

    ``special`` tokens are no text: control tokens, unused ones and the ends. A drawn token of
    ``ends`` ends the answer. ``tokenize`` is the model's own; it may put a space before a text.
    """

    pieces: Sequence[bytes]
    special: frozenset[int]
    ends: Sequence[int]
    tokenize: Callable[[str], list[int]]

    def tokens_of(self, text: bytes) -> list[int] | None:
        """Ordinary tokens that the model's tokenizer makes of a text; None if it makes others.

        A tokenizer that puts a space before every text does so before a line break, too: the
        tokens after that are those of the text.
        """
        whole = text.decode("utf-8", "ignore")
        found = self.tokenize(whole)
        if self._spells(found, text):
            return found
        before = self.tokenize("\n")
        found = self.tokenize(f"\n{whole}")[len(before) :]
        return found if self._spells(found, text) else None

    def _spells(self, tokens: Sequence[int], text: bytes) -> bool:
        """Whether these tokens are ordinary ones and spell exactly this text."""
        if not self.special.isdisjoint(tokens):
            return False
        return b"".join(self.pieces[token] for token in tokens) == text
