"""How much is kept of a pair of texts that is too long."""

from __future__ import annotations


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens that are kept of two texts, as the library ``tokenizers`` shortens pairs.

    Only the longer one is cut as long as that is enough; then both get half of the room.
    """
    if first + second <= room:
        return first, second
    short, long = sorted((first, second))
    long = max(short, room - short)
    if short + long > room:
        short = room // 2
        long = short + room % 2
    return (short, long) if first <= second else (long, short)
