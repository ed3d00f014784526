"""M-RoPE positions of the rows of a batch whose prompts have images.

A text token has one position and an image token has three. The tokens after an image are shifted.
mlx-lm's ``BatchGenerator`` merges, extends, filters and pads rows. ``MropePositions`` takes part in
that as one more cache, so it knows at every call which tokens the columns of each row are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from app.provider.architectures.qwen_vl_pixels import Positions, positions
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.prepared_prompt import PreparedPrompt


@dataclass(slots=True)
class PromptLayout:
    """A prompt: positions [3, length] of its tokens, and the images that are still to be computed.

    The position of a later token is its number plus ``shift``.
    """

    positions: Positions
    shift: int
    images: Sequence[ImageFeatures[mx.array]]

    @property
    def length(self) -> int:
        """Number of tokens whose positions are in the table."""
        return len(self.positions[0])

    @classmethod
    def of(
        cls, prompt: PreparedPrompt, images: Sequence[ImageFeatures[mx.array]], side: int
    ) -> PromptLayout:
        """Make the layout of a prompt; ``side`` is that of a token's tile in pixels.

        ``images`` may lack those that are computed already. A prompt without images needs no
        table: a position is the number of the token.
        """
        length = len(prompt.tokens) if prompt.images else 0
        shift = prompt.position(length) - length
        return cls(positions(length, prompt.images, side), shift, images)

    def between(self, start: int, end: int) -> Positions:
        """Positions [3, end - start] of the tokens ``start`` to ``end``."""
        first, last = max(start, self.length), max(end, self.length)
        after = np.arange(first, last, dtype=np.int32) + np.int32(self.shift)
        return np.concatenate([self.positions[:, start:end], np.tile(after, (3, 1))], axis=1)


TEXT = PromptLayout(np.empty((3, 0), np.int32), 0, ())
"""The layout of every prompt without images."""


class MropePositions:
    """The layout and the next token of each row. It has the methods of mlx-lm's caches."""

    state: Sequence[mx.array] = ()
    nbytes = 0

    def __init__(self, layouts: Sequence[PromptLayout], offsets: Sequence[int]) -> None:
        self._layouts = list(layouts)
        self._offsets = list(offsets)
        self._padding = [0] * len(self._offsets)

    def positions(self, columns: int) -> mx.array:
        """Positions [3, rows, columns] of the next ``columns`` tokens of each row."""
        rows = list(zip(self._layouts, self._offsets, strict=True))
        if all(start >= layout.length for layout, start in rows):  # all rows decode
            first = np.array([[start + layout.shift] for layout, start in rows])
            flat = mx.array((first + np.arange(columns)).astype(np.int32))
            return mx.broadcast_to(flat, (3, *flat.shape))
        each = [layout.between(start, start + columns) for layout, start in rows]
        return mx.array(np.stack(each, axis=1))

    def images(self, columns: int) -> Iterator[tuple[int, slice, mx.array]]:
        """Row, columns and features of the images in the next ``columns`` tokens."""
        for row, (layout, start) in enumerate(zip(self._layouts, self._offsets, strict=True)):
            if layout.images:
                layout.images = [one for one in layout.images if one.image.end > start]
            for one in layout.images:
                begin = one.image.start
                first, last = max(begin, start), min(one.image.end, start + columns)
                if first < last:
                    part = one.features[first - begin : last - begin]
                    yield row, slice(first - start, last - start), part

    def advance(self, columns: int) -> None:
        """Go on to the token after the next ``columns``."""
        self._offsets = [offset + columns for offset in self._offsets]

    # ---------------------------------------------------------------- as mlx-lm's caches

    @classmethod
    def merge(cls, rows: Sequence[MropePositions]) -> MropePositions:
        """Make a batch of single rows."""
        merged = cls([], [])
        for row in rows:
            merged.extend(row)
        return merged

    def extend(self, other: MropePositions) -> None:
        """Append the rows of another batch."""
        self._layouts += other._layouts
        self._offsets += other._offsets
        self._padding += other._padding

    def filter(self, keep: Sequence[int]) -> None:
        """Keep only these rows."""
        self._layouts = [self._layouts[row] for row in keep]
        self._offsets = [self._offsets[row] for row in keep]
        self._padding = [self._padding[row] for row in keep]

    def extract(self, row: int) -> MropePositions:
        """Copy one row."""
        return MropePositions([self._layouts[row]], [self._offsets[row]])

    def prepare(self, *, right_padding: Sequence[int], **_: Any) -> None:
        """Expect so many columns of padding after the next tokens of each row."""
        self._padding = list(right_padding)

    def finalize(self) -> None:
        """Go back over the padding."""
        self._offsets = [
            offset - padding for offset, padding in zip(self._offsets, self._padding, strict=True)
        ]
        self._padding = [0] * len(self._offsets)

    def __deepcopy__(self, memo: dict[int, Any]) -> MropePositions:
        """Copy the offsets; the layouts are shared."""
        return MropePositions(self._layouts, self._offsets)
