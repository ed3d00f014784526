"""Puts what a step computes into batches: tokens of all answers in one, vectors in another."""

from __future__ import annotations

from app.provider.engines.gguf.cache import PrefixCache
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.prefill import ImageStretch, SequenceState, TextStretch

Text = list[tuple[TextStretch, int]]
Shown = list[tuple[ImageStretch, int]]
"""What is to be read, and how many tokens of it."""
Rows = list[tuple[SequenceState, int]]
"""For each answer the row of the last batch that holds the logits, where its prompt is read."""


class Batch:
    """Computes batches, and has the cache note what has been computed."""

    def __init__(self, context: LlamaContext, cache: PrefixCache) -> None:
        self._context = context
        self._cache = cache

    def tokens(self, running: list[SequenceState], text: Text) -> Rows:
        """What was drawn last of the running answers, and pieces of text."""
        rows = [(answer, self._add_token(answer)) for answer in running]
        rows += [(piece.answer, self._add_text(piece, size)) for piece, size in text]
        if rows:
            self._context.decode()
        return rows

    def vectors(self, shown: Shown, *, causal: bool) -> Rows:
        """Pieces of pictures; without ``causal`` all of one, whose vectors look at each other."""
        rows = [(piece.answer, self._add_vectors(piece, size)) for piece, size in shown]
        if rows:
            self._context.decode_vectors(causal=causal)
        return rows

    def _add_token(self, answer: SequenceState) -> int:
        tokens, sequence = [answer.pending], answer.sequence
        row = self._context.add(sequence.id, answer.position, tokens, output=True)
        self._cache.grow(sequence, tokens)
        return row

    def _add_text(self, piece: TextStretch, size: int) -> int:
        answer, last = piece.answer, piece.answer.prefill_left == size
        tokens = piece.tokens[:size]
        row = self._context.add(answer.sequence.id, piece.position, tokens, output=last)
        self._grow(answer, size)
        return row

    def _add_vectors(self, piece: ImageStretch, size: int) -> int:
        answer, last = piece.answer, piece.answer.prefill_left == size
        places, vectors = piece.places[:, :size], piece.vectors[:size]
        row = self._context.add_vectors(answer.sequence.id, places, vectors, output=last)
        self._grow(answer, size)
        return row

    def _grow(self, answer: SequenceState, size: int) -> None:
        """Note tokens of the prompt: those that stand for a picture where it was vectors."""
        done = len(answer.sequence.tokens)
        self._cache.grow(answer.sequence, answer.prompt.tokens[done : done + size].tolist())
