"""Vectors that scripts compare."""

import math
from collections.abc import Sequence


def alike(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two vectors differ by no more than what computing in batches makes of them."""
    return math.dist(one, other) < 1e-5
