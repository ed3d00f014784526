"""Vectors as JSON: written one by one, so that no loop in Python touches a number."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Raw
from msgspec.json import encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Encoding = Literal["float", "base64"]

_MOST_PLACES = 22
"""A double holds ten to the power of this exactly, and no higher one."""
_DIGITS = 9
"""So many of a float32 tell it from every other."""


def as_array(vectors: Sequence[bytes], encoding: Encoding = "float") -> Raw:
    """The JSON array of all vectors."""
    return Raw(b"[" + b",".join(map(WRITERS[encoding], vectors)) + b"]")


def as_numbers(vector: bytes) -> Raw:
    """The JSON array of the numbers of one vector."""
    return Raw(_numbers(vector))


def dimensions(vectors: Sequence[bytes]) -> int:
    """How many numbers each vector has."""
    return len(vectors[0]) // 4 if vectors else 0


def numbers(vector: bytes) -> list[float]:
    """The numbers of one vector."""
    import numpy as np  # noqa: PLC0415 - most servers never need it

    found: list[float] = _shortened(np.frombuffer(vector, "<f4").astype(np.float64)).tolist()
    return found


def _numbers(vector: bytes) -> bytes:
    return encode(numbers(vector))


def _shortened(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same float32 numbers with as few digits as tell them apart, a third less to send.

    A whole number by a power of ten is divided exactly, so it is written with its own digits.
    """
    import numpy as np  # noqa: PLC0415 - most servers never need it

    with np.errstate(divide="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(np.abs(numbers)))
    powers = 10.0 ** np.arange(_MOST_PLACES + 1)
    scale = powers[np.clip(places, 0, _MOST_PLACES).astype(np.intp)]
    shortened: NDArray[np.float64] = np.rint(numbers * scale) / scale
    return shortened


def _base64(vector: bytes) -> bytes:
    return b'"' + binascii.b2a_base64(vector, newline=False) + b'"'


WRITERS: dict[Encoding, Callable[[bytes], bytes]] = {"float": _numbers, "base64": _base64}
"""How one vector is written."""
