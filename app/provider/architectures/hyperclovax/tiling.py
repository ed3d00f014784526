"""Tiles and token counts of images. Pure arithmetic.

An image is encoded twice: as a whole on one tile (the global view), and enlarged on the canvas of
several tiles that fits it best (the local view), as in LLaVA-NeXT ("anyres").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Resolution:
    """Pixels of a canvas."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the map of all tiles that shows the picture: rows and columns of tokens."""

    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """How pictures are cut: tiles of ``size`` pixels become ``side`` x ``side`` tokens.

    Without ``resolutions`` there is the global view only. ``unpad`` leaves out tokens of the
    canvas that do not show the picture, and ends every row of it with a newline.
    """

    size: int
    side: int
    resolutions: tuple[Resolution, ...]
    unpad: bool

    def canvas(self, width: int, height: int) -> Resolution | None:
        """The canvas of the local view; None where there is none."""
        return best_resolution(width, height, self.resolutions) if self.resolutions else None

    def grid(self, canvas: Resolution) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return canvas.height // self.size, canvas.width // self.size

    def window(self, width: int, height: int, canvas: Resolution) -> Window:
        """What is used of the map of all tiles of the canvas."""
        rows, columns = (tiles * self.side for tiles in self.grid(canvas))
        if not self.unpad:
            return Window(0, 0, rows, columns)
        return window(width, height, rows, columns)

    def tokens(self, width: int, height: int) -> int:
        """Tokens of a picture of so many pixels."""
        whole = self.side * self.side
        if (canvas := self.canvas(width, height)) is None:
            return whole
        visible = self.window(width, height, canvas)
        return whole + visible.rows * (visible.columns + (1 if self.unpad else 0))

    def limited(self, tokens: int) -> Tiling:
        """The same with canvases of which no picture exceeds so many tokens; 0 changes nothing."""
        if not tokens:
            return self
        return replace(
            self, resolutions=tuple(one for one in self.resolutions if self._most_on(one) <= tokens)
        )

    @property
    def fewest(self) -> int:
        """Tokens that no picture goes below."""
        return self.side * self.side

    @property
    def most(self) -> int:
        """Tokens that no picture exceeds."""
        return max(map(self._most_on, self.resolutions), default=self.fewest)

    @property
    def largest(self) -> int:
        """Pixels of the largest canvas."""
        return max((one.height * one.width for one in self.resolutions), default=self.size**2)

    def _most_on(self, canvas: Resolution) -> int:
        """Tokens of a picture that fills the canvas."""
        rows, columns = (tiles * self.side for tiles in self.grid(canvas))
        return self.fewest + rows * (columns + (1 if self.unpad else 0))


def resolutions(size: int, most: int, *, single: bool) -> tuple[Resolution, ...]:
    """All canvases of at most ``most`` tiles; that of one tile only where it is allowed."""
    grids = [(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most]
    if not single:
        grids.remove((1, 1))
    return tuple(Resolution(i * size, j * size) for i, j in grids)


def best_resolution(width: int, height: int, candidates: Sequence[Resolution]) -> Resolution:
    """The canvas on which most of the picture's pixels remain, and least is empty; else the first.

    Pixels that come from enlarging it do not count.
    """
    best, most, least = candidates[0], 0, math.inf
    for one in candidates:
        scale = min(one.width / width, one.height / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        wasted = one.height * one.width - effective
        if effective > most or (effective == most and wasted < least):
            best, most, least = one, effective, wasted
    return best


def fitted(width: int, height: int, canvas: Resolution) -> tuple[int, int]:
    """Width and height of a picture scaled to fill the canvas in one direction."""
    across, down = canvas.width / width, canvas.height / height
    if across < down:
        return canvas.width, min(math.ceil(height * across), canvas.height)
    return min(math.ceil(width * down), canvas.width), canvas.height


def squared(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height of a picture whose long side is ``size``."""
    if width > height:
        return size, math.ceil(height / width * size)
    if height > width:
        return math.ceil(width / height * size), size
    return size, size


def window(width: int, height: int, rows: int, columns: int) -> Window:
    """The tokens of a map of ``rows`` x ``columns`` that show a picture of these pixels.

    The same number goes on both sides, so one row or column of padding can remain.
    """
    if width / height > columns / rows:
        padding = (rows - int(height * (columns / width))) // 2
        return Window(padding, 0, rows - 2 * padding, columns)
    padding = (columns - int(width * (rows / height))) // 2
    return Window(0, padding, rows, columns - 2 * padding)
