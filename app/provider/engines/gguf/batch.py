"""Computes a step: the tokens of all requests in one batch, image vectors in another."""

from __future__ import annotations

from app.provider.engines.gguf.cache import PrefixCache
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.prefill import ImageChunk, SequenceState, TextChunk

TextChunks = list[tuple[TextChunk, int]]
ImageChunks = list[tuple[ImageChunk, int]]
"""Chunks, and how many tokens of each are computed in this step."""
LogitRows = list[tuple[SequenceState, int]]
"""For each request the row of its logits in the last batch, once its prefill is done."""


class Batch:
    """Computes batches, and records in the cache what is computed."""

    def __init__(self, context: LlamaContext, cache: PrefixCache) -> None:
        self._context = context
        self._cache = cache

    def tokens(self, running: list[SequenceState], text: TextChunks) -> LogitRows:
        """Compute the last token of the running answers, and chunks of text."""
        self._cache.close_gaps()
        rows = [(answer, self._add_token(answer)) for answer in running]
        rows += [(piece.answer, self._add_text(piece, size)) for piece, size in text]
        if rows:
            self._context.decode()
        return rows

    def vectors(self, images: ImageChunks, *, causal: bool) -> LogitRows:
        """Compute chunks of images; without ``causal`` a whole image, with attention both ways."""
        rows = [(piece.answer, self._add_vectors(piece, size)) for piece, size in images]
        if rows:
            self._context.decode_vectors(causal=causal)
        return rows

    def _add_token(self, answer: SequenceState) -> int:
        tokens, sequence = [answer.next_token], answer.sequence
        row = self._context.add(sequence.id, answer.position, tokens, output=True)
        self._cache.grow(sequence, tokens)
        return row

    def _add_text(self, piece: TextChunk, size: int) -> int:
        answer, last = piece.answer, piece.answer.prefill_left == size
        tokens = piece.tokens[:size]
        row = self._context.add(answer.sequence.id, piece.position, tokens, output=last)
        self._grow(answer, size)
        return row

    def _add_vectors(self, piece: ImageChunk, size: int) -> int:
        answer, last = piece.answer, piece.answer.prefill_left == size
        image_positions, vectors = piece.image_positions[:, :size], piece.vectors[:size]
        row = self._context.add_vectors(answer.sequence.id, image_positions, vectors, output=last)
        self._grow(answer, size)
        return row

    def _grow(self, answer: SequenceState, size: int) -> None:
        """Record prompt tokens as computed; image tokens stand for the vectors."""
        done = len(answer.sequence.tokens)
        self._cache.grow(answer.sequence, answer.prompt.tokens[done : done + size].tolist())
