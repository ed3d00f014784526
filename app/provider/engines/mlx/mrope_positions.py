"""Where the rows of a batch stand in prompts with pictures.

A token of text has one position, a token of a picture three, and what follows a picture is moved.
mlx-lm's ``BatchGenerator`` merges, extends, filters and pads rows; ``Places`` goes through all of
that as one more cache, so that it knows at every call what the columns of each row are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from app.provider.architectures.qwen_vl_pixels import Positions, positions
from app.provider.generation.prepared_prompt import PreparedPrompt


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture of a prompt: tokens ``start`` to ``end``, and their features [tokens, hidden]."""

    start: int
    end: int
    features: mx.array


@dataclass(slots=True)
class Layout:
    """A prompt: positions [3, length] of its tokens, and the pictures that are still to be read.

    After it the position is the number of the token plus ``shift``.
    """

    positions: Positions
    shift: int
    pictures: Sequence[Seen]

    @property
    def length(self) -> int:
        """Tokens that the table has the positions of."""
        return len(self.positions[0])

    @classmethod
    def of(cls, prompt: PreparedPrompt, pictures: Sequence[Seen], side: int) -> Layout:
        """``side`` is that of a token's tile in pixels; ``pictures`` may lack those already read.

        Without pictures a position is the number of the token, and no table is needed.
        """
        length = len(prompt.tokens) if prompt.images else 0
        shift = prompt.position(length) - length
        return cls(positions(length, prompt.images, side), shift, pictures)

    def between(self, start: int, end: int) -> Positions:
        """Positions [3, end - start] of these tokens."""
        first, last = max(start, self.length), max(end, self.length)
        after = np.arange(first, last, dtype=np.int32) + np.int32(self.shift)
        return np.concatenate([self.positions[:, start:end], np.tile(after, (3, 1))], axis=1)


TEXT = Layout(np.empty((3, 0), np.int32), 0, ())
"""Of prompts without pictures."""


class Places:
    """The layouts of rows, and the next token of each; has the methods of mlx-lm's caches."""

    state: Sequence[mx.array] = ()
    nbytes = 0

    def __init__(self, layouts: Sequence[Layout], offsets: Sequence[int]) -> None:
        self._layouts = list(layouts)
        self._offsets = list(offsets)
        self._padding = [0] * len(self._offsets)

    def positions(self, columns: int) -> mx.array:
        """Of the next ``columns`` tokens of each row: [3, rows, columns]."""
        rows = list(zip(self._layouts, self._offsets, strict=True))
        if all(start >= layout.length for layout, start in rows):  # answers: once a token
            first = np.array([[start + layout.shift] for layout, start in rows])
            flat = mx.array((first + np.arange(columns)).astype(np.int32))
            return mx.broadcast_to(flat, (3, *flat.shape))
        each = [layout.between(start, start + columns) for layout, start in rows]
        return mx.array(np.stack(each, axis=1))

    def pictures(self, columns: int) -> Iterator[tuple[int, slice, mx.array]]:
        """Row, columns and features of what is seen in the next ``columns`` tokens."""
        for row, (layout, start) in enumerate(zip(self._layouts, self._offsets, strict=True)):
            if layout.pictures:
                layout.pictures = [one for one in layout.pictures if one.end > start]
            for one in layout.pictures:
                first, last = max(one.start, start), min(one.end, start + columns)
                if first < last:
                    part = one.features[first - one.start : last - one.start]
                    yield row, slice(first - start, last - start), part

    def advance(self, columns: int) -> None:
        """Go on to the token after the next ``columns``."""
        self._offsets = [offset + columns for offset in self._offsets]

    # ---------------------------------------------------------------- as mlx-lm's caches

    @classmethod
    def merge(cls, rows: Sequence[Places]) -> Places:
        """A batch of single rows."""
        merged = cls([], [])
        for row in rows:
            merged.extend(row)
        return merged

    def extend(self, other: Places) -> None:
        """Add the rows of another batch."""
        self._layouts += other._layouts
        self._offsets += other._offsets
        self._padding += other._padding

    def filter(self, keep: Sequence[int]) -> None:
        """Keep these rows."""
        self._layouts = [self._layouts[row] for row in keep]
        self._offsets = [self._offsets[row] for row in keep]
        self._padding = [self._padding[row] for row in keep]

    def extract(self, row: int) -> Places:
        """One row."""
        return Places([self._layouts[row]], [self._offsets[row]])

    def prepare(self, *, right_padding: Sequence[int], **_: Any) -> None:
        """The next tokens of each row are followed by so many columns that do not count."""
        self._padding = list(right_padding)

    def finalize(self) -> None:
        """Go back over them."""
        self._offsets = [
            offset - padding for offset, padding in zip(self._offsets, self._padding, strict=True)
        ]
        self._padding = [0] * len(self._offsets)

    def __deepcopy__(self, memo: dict[int, Any]) -> Places:
        """A copy whose rows can be moved; what they read is shared."""
        return Places(self._layouts, self._offsets)
