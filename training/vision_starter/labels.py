"""What each token of a picture shows: the targets of the helping head, used in training only."""

import numpy as np

from training.vision_starter.drawing import COLOURS, MOST, SHAPES, Scene
from training.vision_starter.pictures import CELL, Frame, Grid

NOTHING = -100  # PyTorch's index for "no target here"
SIZES = {
    "colour": len(COLOURS) + 1,
    "shape": len(SHAPES),
    "row": 3,
    "column": 3,
    "count": MOST + 1,
    "order": 2,
    "layout": 4,
}


def labels(scene: Scene, frame: Frame, grid: Grid, cell: int = CELL) -> dict[str, np.ndarray]:
    """Return what there is to tell of every token, which is ``cell`` pixels across.

    Of its object: colour (one more: none), shape, third of the picture, and in an unlike pair
    whether it is the first or the second. Of the whole picture: how many objects, and how they lie.
    """
    size = grid[0] * grid[1]
    found = {name: np.full(size, NOTHING) for name in SIZES}
    found["colour"][:] = len(COLOURS)
    found["count"][:] = len(scene.things)
    found["layout"][:] = layout(scene)
    owners = _owners(scene, frame, grid, cell)
    for index, thing in enumerate(scene.things):
        here = owners == index
        row, column = scene.zone(thing)
        found["colour"][here] = list(COLOURS).index(thing.colour)
        found["shape"][here] = SHAPES.index(thing.shape)
        found["row"][here] = row
        found["column"][here] = column
        if scene.pair:
            found["order"][here] = index
    return found


def layout(scene: Scene) -> int:
    """Return 0 for at most one object, 1 for alike ones, 2 and 3 for a pair beside or above."""
    if not scene.pair:
        return int(len(scene.things) > 1)
    return 2 if scene.beside else 3


def _owners(scene: Scene, frame: Frame, grid: Grid, cell: int) -> np.ndarray:
    """Return which thing each token shows most of, -1 for none."""
    left, top, width, height = frame
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    across, down = width / scene.width, height / scene.height
    owners, nearest = np.full(grid[0] * grid[1], -1), np.full(grid[0] * grid[1], 1.0)
    for index, thing in enumerate(scene.things):
        x, y = left + thing.x * across, top + thing.y * down
        reach = thing.size / 2 + cell / 3 / np.array([across, down])
        aside = (columns + 0.5) * cell - x
        below = (rows + 0.5) * cell - y
        far = np.hypot(aside / (reach[0] * across), below / (reach[1] * down))
        far[(np.abs(aside) <= cell / 2) & (np.abs(below) <= cell / 2)] *= 0.01
        owners[far < nearest] = index
        nearest = np.minimum(nearest, far)
    return owners
