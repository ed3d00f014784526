"""Vectors as JSON: every float32 comes back as it was, from nine digits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.json import encode

from app.encoding.vectors import as_array, as_numbers, dimensions


def written(numbers: np.ndarray[tuple[int], np.dtype[np.float32]]) -> str:
    return encode(as_numbers(numbers.astype("<f4").tobytes())).decode()


def test_any_number_comes_back_the_same() -> None:
    bits = np.random.default_rng(1).integers(0, 2**32, 100_000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    size = np.abs(numbers)
    kept = numbers[np.isfinite(numbers) & (size > 1e-13) & (size < 1e9)]
    assert len(kept) > 20_000
    assert (np.array(json.loads(written(kept)), np.float32) == kept).all()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1, "0.100000001"),
        (-1.0, "-1.0"),
        (0.0, "0.0"),
        (1 / 3, "0.333333343"),
        (2.5e-7, "2.49999999e-7"),
    ],
)
def test_nine_digits_tell_a_float32_from_every_other(number: float, text: str) -> None:
    assert written(np.array([number], np.float32)) == f"[{text}]"


def test_several_vectors_are_one_array() -> None:
    rows = np.array([[0.5, 1], [2, 0.25]], "<f4")
    vectors = [row.tobytes() for row in rows]
    assert json.loads(encode(as_array(vectors))) == rows.tolist()
    assert json.loads(encode(as_array(vectors, "base64"))) == ["AAAAPwAAgD8=", "AAAAQAAAgD4="]
    assert dimensions(vectors) == 2
    assert dimensions([]) == 0
