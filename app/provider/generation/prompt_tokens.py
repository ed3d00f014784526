"""From the text of a prompt to its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile

from app.provider.generation.model_tokenizer import ModelTokenizer


class PromptTokenizer:
    """Tokenises texts that are cut in pieces, where a special token must not be recognised."""

    def __init__(self, vocabulary: ModelTokenizer) -> None:
        self._vocabulary = vocabulary

    def beginning(self, pieces: Sequence[str]) -> list[int]:
        """Tokenise the beginning of a prompt, with the tokens of every beginning exactly once.

        The text may spell them, or a part of them, or white space before them.
        """
        prefix = list(self._vocabulary.prefix)
        spelled = tuple(filter(None, map(self._vocabulary.spelling, prefix)))
        bare = pieces[0].lstrip()
        first = bare if bare.startswith(spelled) else pieces[0]
        tokens = self.tokens([first, *pieces[1:]])
        return prefix + list(dropwhile(lambda token: token in prefix, tokens))

    def tokens(self, pieces: Sequence[str]) -> list[int]:
        """Tokenise each piece by itself."""
        first, *others = pieces
        tokens = self._vocabulary.tokenize(first)
        for piece in others:
            tokens += self.continuation(piece)
        return tokens

    def continuation(self, piece: str) -> list[int]:
        """Tokenise the second half of a word, where many tokenizers would put a space first."""
        before = self._vocabulary.tokenize("\n")
        tokens = self._vocabulary.tokenize(f"\n{piece}")
        begins = tokens[: len(before)] == before
        return tokens[len(before) :] if begins else self._vocabulary.tokenize(piece)
