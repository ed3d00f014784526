"""Prompts without a chat template: a text or tokens to continue, or a gap to fill in."""

from __future__ import annotations

from collections.abc import Sequence

from app.provider.errors import UnsupportedInput
from app.provider.formats.infill import INFILL, INFILL_ENDS, InfillTokens
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.prompt_tokens import PromptTokenizer
from app.provider.types import RawText

Infill = tuple[InfillTokens, list[int]]
"""The tokens of a family, and their ids in this vocabulary: prefix, suffix, middle."""


class RawPrompts:
    """Tokenises raw prompts. Special tokens in them are recognised: they are the caller's own."""

    def __init__(self, vocabulary: ModelTokenizer) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = PromptTokenizer(vocabulary)
        self._infill = self._find_infill()
        for text in INFILL_ENDS if self._infill else ():
            if self._single(text) is not None:
                vocabulary.end_with(text)

    def tokens(self, raw: RawText, *, special: bool = True) -> list[int]:
        """The tokens of a prompt, those of its beginning once if ``special``.

        Tokens of the caller stay as they are. Raises UnsupportedInput.
        """
        if raw.tokens is not None:
            return self._checked(raw.tokens, raw.suffix)
        if raw.suffix is not None:
            return [*self._vocabulary.prefix, *self._filled(raw.text, raw.suffix)]
        if not special:
            return self._vocabulary.tokenize(raw.text)
        return self._tokenizer.beginning([raw.text])

    def _checked(self, tokens: Sequence[int], suffix: str | None) -> list[int]:
        if suffix is not None:
            raise UnsupportedInput("A suffix goes with a text, not with tokens.")
        size = self._vocabulary.size
        wrong = next((token for token in tokens if not 0 <= token < size), None)
        if wrong is not None:
            raise UnsupportedInput(f"The model has no token {wrong}: it has {size} tokens.")
        return list(tokens)

    # ---------------------------------------------------------------- a gap

    def _filled(self, text: str, suffix: str) -> list[int]:
        if self._infill is None:
            raise UnsupportedInput(
                "This model was not trained to fill in a gap: its vocabulary has no tokens for it, "
                "so it takes no suffix."
            )
        tokens, (before_text, before_suffix, *middle) = self._infill
        begin = [before_text, *self._vocabulary.tokenize(text)]
        follow = [before_suffix, *(self._tokenizer.continuation(suffix) if suffix else ())]
        parts = (follow, begin) if tokens.suffix_first else (begin, follow)
        return [*parts[0], *parts[1], *middle]

    def _find_infill(self) -> Infill | None:
        for tokens in INFILL:
            spelled = (tokens.prefix, tokens.suffix, tokens.middle)
            found = [self._single(text) for text in spelled if text]
            ids = [token for token in found if token is not None]
            if len(ids) == len(found):
                return tokens, ids
        return None

    def _single(self, text: str) -> int | None:
        """The token with this spelling, if it is one."""
        tokens = self._vocabulary.tokenize(text)
        if len(tokens) != 1:
            return None
        spelled = self._vocabulary.spelling(tokens[0]).replace("▁", " ")
        return tokens[0] if spelled == text.replace("▁", " ") else None
