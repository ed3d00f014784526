"""Finds out that a model repeats itself without end."""

from __future__ import annotations

from array import array

SHORTEST_RUN = 64
"""Tokens of a run that counts when it comes three times over; shorter runs in multiples."""

_MOST_TRIED = 64


def repeats(tokens: array[int]) -> bool:
    """Whether the last tokens are the same run three times over."""
    if len(tokens) < 3 * SHORTEST_RUN:
        return False
    written = tokens.tobytes()
    size = tokens.itemsize
    tail = written[-SHORTEST_RUN * size :]
    end = len(written) - 1  # of the places where the tail may have stood before
    for _ in range(_MOST_TRIED):
        at = written.rfind(tail, 0, end)
        if at < 0:
            return False
        end = at + len(tail) - 1
        if at % size:
            continue
        distance = (len(written) - len(tail) - at) // size
        if _three_times(written, size * distance * -(-SHORTEST_RUN // distance)):
            return True
    return False


def _three_times(written: bytes, run: int) -> bool:
    return 3 * run <= len(written) and written[-2 * run :] == written[-3 * run : -run]
