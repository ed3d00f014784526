"""Computes sequences with llama.cpp: all tokens of a step in one batch, image vectors in another.

A llama.cpp batch holds either tokens or vectors. ``prefill`` computes vectors at once and puts
tokens into the batch that ``decode`` computes together with those of the running answers. With KV
streams these are two batches: of one, llama.cpp would compute a token of each sequence first and
the rest of the prompt next, and a pass over two tokens costs half as much again as over one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.provider.engines.gguf.cache import PrefixCache
from app.provider.engines.gguf.cache import Sequence as CachedSequence
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.image_layout import Piece
from app.provider.engines.gguf.sampler import Sampler
from app.provider.generation.prepared_prompt import PlacedImage, PreparedPrompt
from app.provider.generation.runner import Drawn, SequenceState, draw_guided

if TYPE_CHECKING:  # it brings libmtmd, which few models need
    from app.provider.engines.gguf.image_encoder import MtmdImageEncoder


@dataclass(slots=True, eq=False, kw_only=True)
class GgufSequence(SequenceState):
    """A request in one sequence of the context."""

    cached_sequence: CachedSequence
    sampler: Sampler

    @property
    def id(self) -> int:
        """Its number in the context."""
        return self.cached_sequence.id


class GgufRunner:
    """Implements ``Runner`` on a context and its prefix cache."""

    def __init__(
        self,
        context: LlamaContext,
        cache: PrefixCache,
        vocabulary_size: int,
        images: MtmdImageEncoder | None,
    ) -> None:
        self._context = context
        self._cache = cache
        self._vocabulary_size = vocabulary_size
        self._images = images
        self._staged: set[int] = set()  # sequences with prompt tokens in the next batch

    # ---------------------------------------------------------------- the contract

    def reserve(self, prompt: PreparedPrompt, room: int) -> GgufSequence | None:
        """Claim a sequence of the prefix cache."""
        claimed = self._cache.claim(prompt, room)
        if claimed is None:
            return None
        sampler = Sampler(prompt.sampling, self._vocabulary_size, room - len(prompt.tokens))
        return GgufSequence(
            prompt=prompt,
            room=room,
            tokens=claimed.tokens,
            cached_sequence=claimed,
            sampler=sampler,
        )

    def prefill(self, pieces: Sequence[tuple[GgufSequence, int]]) -> None:
        """Put text into the next batch, and compute the vectors of images."""
        self._cache.close_gaps()
        vectors = 0
        for sequence, size in pieces:
            image = _next_image(sequence)
            if image is not None and image.start <= len(sequence.tokens):
                vectors += self._add_image(sequence, image, size, alone=not vectors)
            else:
                end = image.start if image else len(sequence.prompt.tokens) - 1
                self._add_text(sequence, min(size, end - len(sequence.tokens)))
        if vectors and self._images:
            self._context.decode_vectors(causal=self._images.causal)

    def decode(self, running: Sequence[GgufSequence]) -> list[Drawn[GgufSequence]]:
        """Compute the batch, and draw a token for every running answer."""
        if not self._staged:
            self._cache.close_gaps()
        elif self._context.streams and any(one.id not in self._staged for one in running):
            self._compute_staged()
        rows = [self._add_pending(sequence) for sequence in running]
        if rows or self._staged:
            self._compute_staged()
        return draw_guided(
            running,
            lambda index: self._context.logits(rows[index]),
            lambda: [
                sequence.sampler.draw(self._context, row)
                for sequence, row in zip(running, rows, strict=True)
            ],
        )

    def release(self, sequences: Sequence[GgufSequence]) -> None:
        """Return the sequences to the prefix cache."""
        for sequence in sequences:
            sequence.sampler.close()
            self._cache.release(sequence.cached_sequence)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads, for images as well."""
        self._context.set_threads(threads)
        if self._images:
            self._images.set_threads(threads)

    def close(self) -> None:
        """Free the context."""
        self._context.close()

    # ---------------------------------------------------------------- rows of a batch

    def _add_pending(self, sequence: GgufSequence) -> int:
        row = self._context.add(sequence.id, sequence.position, sequence.pending, output=True)
        self._cache.grow(sequence.cached_sequence, sequence.pending)
        return row

    def _add_text(self, sequence: GgufSequence, size: int) -> None:
        done = len(sequence.tokens)
        tokens = sequence.prompt.tokens[done : done + size].tolist()
        self._stage(sequence, sequence.position, tokens)
        self._cache.grow(sequence.cached_sequence, tokens)

    def _compute_staged(self) -> None:
        self._context.decode()
        self._staged.clear()

    def _stage(self, sequence: GgufSequence, position: int, tokens: list[int]) -> None:
        self._context.add(sequence.id, position, tokens, output=False)
        self._staged.add(sequence.id)

    def _add_image(
        self, sequence: GgufSequence, image: PlacedImage, size: int, *, alone: bool
    ) -> int:
        """Add the next piece of an image; returns how many vectors were added.

        Vectors that attend to each other both ways are computed all at once, one image a step.
        """
        assert self._images is not None  # noqa: S101 - prompts with images need an encoder
        done = len(sequence.tokens) - image.start
        piece = self._images.layout(image.part).piece_at(done)
        first = done - piece.start
        left = piece.length - first
        if piece.image_positions is None:
            position = sequence.prompt.position(image.start) + piece.position + first
            size = min(size, left)
            self._stage(sequence, position, list(piece.tokens[first : first + size]))
        elif self._images.causal or alone:
            size = min(size, left) if self._images.causal else left
            self._add_vectors(sequence, image, piece, first, size)
        else:
            return 0
        self._grow(sequence, size)
        return size if piece.image_positions is not None else 0

    def _add_vectors(
        self, sequence: GgufSequence, image: PlacedImage, piece: Piece, first: int, size: int
    ) -> None:
        assert piece.image_positions is not None  # noqa: S101 - a piece with vectors has them
        features = next(one for one in sequence.images or () if one.image is image)
        vectors = features.features[piece.row + first : piece.row + first + size]
        position = sequence.prompt.position(image.start) + piece.position
        positions = piece.image_positions[:, first : first + size] + position
        self._context.add_vectors(sequence.id, positions, vectors, output=False)

    def _grow(self, sequence: GgufSequence, size: int) -> None:
        """Record prompt tokens as computed; image tokens stand for the vectors."""
        done = len(sequence.tokens)
        tokens = sequence.prompt.tokens[done : done + size].tolist()
        self._cache.grow(sequence.cached_sequence, tokens)


def _next_image(sequence: GgufSequence) -> PlacedImage | None:
    """The first image of the prompt that is not computed."""
    done = len(sequence.tokens)
    return next((one for one in sequence.prompt.images if one.end > done), None)
