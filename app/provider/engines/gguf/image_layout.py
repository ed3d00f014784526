"""Tokens, vectors and positions of an image of one size in a prompt, as libmtmd gives them.

Vectors stand between a token that begins the image and one that ends it. Models that cut images
into tiles have text tokens between the vectors of two tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.provider.engines.gguf.llama_batch import ImagePositions
from app.provider.generation.prepared_prompt import ImageSize


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of tokens of one kind in an image: text, or vectors if it has ``image_positions``.

    Within the image, ``start`` is the number of the first token, ``position`` its position and
    ``row`` the number of its vector. ``image_positions`` [sections, length] count from there.
    """

    start: int
    length: int
    position: int
    row: int
    tokens: tuple[int, ...] = ()
    image_positions: ImagePositions | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of libmtmd: text tokens, or vectors at ``image_positions``."""

    length: int
    positions: int
    tokens: tuple[int, ...] = ()
    image_positions: ImagePositions | None = None


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """An image in a prompt. ``before`` and ``after`` are ordinary tokens of the prompt."""

    before: tuple[int, ...]
    pieces: tuple[Piece, ...]
    after: tuple[int, ...]
    size: ImageSize

    @property
    def largest(self) -> int:
        """The number of vectors in the largest piece."""
        return max(piece.length for piece in self.pieces if piece.image_positions is not None)

    @property
    def text(self) -> tuple[int, ...]:
        """All text tokens."""
        between = (token for piece in self.pieces for token in piece.tokens)
        return (*self.before, *between, *self.after)

    def piece_at(self, offset: int) -> Piece:
        """The piece with the token number ``offset`` of the image."""
        return next(piece for piece in self.pieces if offset < piece.start + piece.length)


def layout(chunks: Sequence[Chunk], width: int, height: int) -> ImageLayout:
    """Lay out the chunks of an image that is scaled to ``width`` by ``height`` pixels."""
    vectors = [index for index, chunk in enumerate(chunks) if chunk.image_positions is not None]
    pieces: list[Piece] = []
    start = position = row = 0
    for chunk in chunks[vectors[0] : vectors[-1] + 1]:
        pieces.append(
            Piece(start, chunk.length, position, row, chunk.tokens, chunk.image_positions)
        )
        start, position = start + chunk.length, position + chunk.positions
        row += chunk.length if chunk.image_positions is not None else 0
    before, after = chunks[: vectors[0]], chunks[vectors[-1] + 1 :]
    return ImageLayout(
        before=tuple(token for chunk in before for token in chunk.tokens),
        pieces=tuple(pieces),
        after=tuple(token for chunk in after for token in chunk.tokens),
        size=ImageSize(width, height, start, position),
    )
