"""How a picture of one size enters a prompt, as libmtmd says: tokens, vectors and positions.

Between a token that begins a picture and one that ends it stand vectors; models that cut pictures
into tiles have tokens of text between the vectors of two tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.provider.engines.gguf.llama_batch import Places
from app.provider.generation.prepared_prompt import ImageSize


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens of one kind in a picture: text, or (``places`` is there) vectors.

    ``start`` is the first one's number within the picture and ``position`` its position, ``row``
    the number of its vector. ``places`` are positions [sections, length] within the piece.
    """

    start: int
    length: int
    position: int
    row: int
    tokens: tuple[int, ...] = ()
    places: Places | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What libmtmd makes of a part of a picture: tokens of text, or vectors at ``places``."""

    length: int
    positions: int
    tokens: tuple[int, ...] = ()
    places: Places | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture in a prompt. ``before`` and ``after`` are ordinary tokens of the prompt."""

    before: tuple[int, ...]
    pieces: tuple[Piece, ...]
    after: tuple[int, ...]
    size: ImageSize

    @property
    def largest(self) -> int:
        """Vectors of the piece that has most."""
        return max(piece.length for piece in self.pieces if piece.places is not None)

    @property
    def text(self) -> tuple[int, ...]:
        """All tokens that are text."""
        between = (token for piece in self.pieces for token in piece.tokens)
        return (*self.before, *between, *self.after)

    def piece_at(self, offset: int) -> Piece:
        """The piece that holds a token of the picture."""
        return next(piece for piece in self.pieces if offset < piece.start + piece.length)


def layout(chunks: Sequence[Chunk], width: int, height: int) -> Layout:
    """Put the chunks of a picture, seen in ``width`` by ``height`` pixels, in order."""
    shown = [index for index, chunk in enumerate(chunks) if chunk.places is not None]
    pieces: list[Piece] = []
    start = position = row = 0
    for chunk in chunks[shown[0] : shown[-1] + 1]:
        pieces.append(Piece(start, chunk.length, position, row, chunk.tokens, chunk.places))
        start, position = start + chunk.length, position + chunk.positions
        row += chunk.length if chunk.places is not None else 0
    before, after = chunks[: shown[0]], chunks[shown[-1] + 1 :]
    return Layout(
        before=tuple(token for chunk in before for token in chunk.tokens),
        pieces=tuple(pieces),
        after=tuple(token for chunk in after for token in chunk.tokens),
        size=ImageSize(width, height, start, position),
    )
