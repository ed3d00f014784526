"""Computes texts and pairs of texts with llama.cpp: implements ``EncoderRunner``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engines.gguf.encoder.context import EncoderContext
from app.provider.engines.gguf.encoder.sizes import PASS_ITEMS, PASS_TOKENS


class ItemInput(Protocol):
    """Makes items of what a job asks for."""

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """See ``EncoderRunner.prepare``."""


class GgufEncoderRunner:
    """Implements ``EncoderRunner``. ``inputs`` make items, ``context`` computes them.

    ``packs``: several items are computed in one call, which a GPU needs to be fast. On a CPU it
    gains next to nothing, and each item alone gets the same numbers whatever else is computed.
    A score may come as the probabilities of two answers, the first of which is yes.
    """

    def __init__(
        self,
        inputs: ItemInput,
        context: EncoderContext,
        *,
        max_tokens: int,
        dimensions: int,
        packs: bool,
    ) -> None:
        self.max_tokens = max_tokens
        self.dimensions = dimensions
        self._inputs = inputs
        self._context = context
        self._call_tokens = PASS_TOKENS if packs else 0
        self._yes_and_no = dimensions == 1 and context.width > 1

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a text or a pair."""
        return self._inputs.prepare(part, index=index, prompt=prompt, truncate=truncate)

    def forward(self, batch: Sequence[EncoderItem]) -> Vectors:
        """The vectors or logits of items, in as many calls as they take."""
        inputs = [item.tokens for item in batch]
        rows = [self._context.encode(call) for call in calls(inputs, self._call_tokens)]
        computed = np.concatenate(rows)
        return _logits(computed) if self._yes_and_no else computed

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next pass on."""
        self._context.set_threads(threads)

    def close(self) -> None:
        """Free the context."""
        self._context.close()


def calls(inputs: Sequence[tuple[int, ...]], most: int) -> Iterator[list[tuple[int, ...]]]:
    """Inputs in their order, those of a call with ``most`` tokens together or a single one."""
    call: list[tuple[int, ...]] = []
    total = 0
    for tokens in inputs:
        if call and (total + len(tokens) > most or len(call) == PASS_ITEMS):
            yield call
            call, total = [], 0
        call.append(tokens)
        total += len(tokens)
    if call:
        yield call


def _logits(probabilities: Vectors) -> Vectors:
    """The difference of the logits of two answers; float32 has no numbers for the smallest."""
    least = np.finfo(np.float32).tiny
    logarithms = np.log(np.maximum(probabilities, least).astype(np.float64))
    differences: Vectors = (logarithms[:, :1] - logarithms[:, 1:2]).astype(np.float32)
    return differences
