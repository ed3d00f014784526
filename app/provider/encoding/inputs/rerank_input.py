"""Tokenises pairs for rerankers that are language models asked for yes or no."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.provider.encoding.folders.settings import RerankPrompt
from app.provider.encoding.runner import EncoderItem
from app.provider.errors import InputTooLong

_FIELD = re.compile(r"(\{(?:instruction|query|document)\})")


class RerankInput:
    """The prompt of a reranker. ``tokenize`` adds no special tokens; ``limit`` counts all.

    ``special`` tokenises the text around a pair, where that takes another function.
    """

    def __init__(
        self,
        prompt: RerankPrompt,
        tokenize: Callable[[str], tuple[int, ...]],
        limit: int,
        special: Callable[[str], tuple[int, ...]] | None = None,
    ) -> None:
        self._prompt = prompt
        self._tokenize = tokenize
        self._prefix = (special or tokenize)(prompt.prefix)
        self._suffix = (special or tokenize)(prompt.suffix)
        self._limit = limit

    def prepare(
        self, query: str, document: str, *, index: int, instruction: str, truncate: bool
    ) -> EncoderItem:
        """The tokens of a pair; of a long one the end of the document is cut off.

        Raises InputTooLong where cutting is not allowed, or would leave nothing of the document.
        """
        room = self._limit - len(self._prefix) - len(self._suffix)
        middle = self._tokenize(self._filled(query, document, instruction))
        truncated = len(middle) > room
        if truncated and not (truncate and self._fits_query(query, instruction, room)):
            needed = len(self._prefix) + len(middle) + len(self._suffix)
            raise InputTooLong(index, needed, self._limit)
        tokens = (*self._prefix, *middle[: max(0, room)], *self._suffix)
        return EncoderItem(tokens=tokens, truncated=truncated, cost=len(tokens))

    def _fits_query(self, query: str, instruction: str, room: int) -> bool:
        return len(self._tokenize(self._filled(query, "", instruction))) < room

    def _filled(self, query: str, document: str, instruction: str) -> str:
        """The text between prefix and suffix; braces in it have no effect."""
        fields = {
            "{instruction}": instruction or self._prompt.instruction,
            "{query}": query,
            "{document}": document,
        }
        pieces = _FIELD.split(self._prompt.pair)
        return "".join(fields.get(piece, piece) for piece in pieces)
