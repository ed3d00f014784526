"""Asks an engine of encoders, in the process of the tests, and compares with references."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.provider.engine import Engine
from app.provider.errors import ProviderError
from app.provider.types import Encode, Encoded, End, ImagePart, PairPart, TextPart
from tests.encoders.inputs import LONG, PAIRS, TEXTS, images

Vectors = NDArray[np.floating[Any]]

TEXT_PARTS = tuple(map(TextPart, TEXTS))
LONG_PART = TextPart(LONG)
LONG_PAIRS = (PairPart(PAIRS[0][0], LONG), PairPart(LONG, PAIRS[0][1]))
PAIR_PARTS = tuple(PairPart(query, document) for query, document in PAIRS)


def image_parts() -> tuple[ImagePart, ...]:
    return tuple(map(_image_part, images()))


def _image_part(content: bytes) -> ImagePart:
    with Image.open(BytesIO(content)) as picture:
        width, height = picture.size
    return ImagePart(content, hashlib.sha256(content).hexdigest(), width, height)


def encode(engine: Engine, *items: Any, **options: Any) -> Vectors:
    """The vectors of one job [items, dimensions], or its scores [items, 1]."""
    return encode_jobs(engine, Encode(items, **options))[0]


def encode_jobs(engine: Engine, *jobs: Encode) -> list[Vectors]:
    """The vectors of jobs that share the forward passes."""
    found: list[dict[int, bytes]] = [{} for _ in jobs]
    for number, job in enumerate(jobs):
        assert engine.admit(number, engine.prepare(job))
    left = set(range(len(jobs)))
    for _ in range(1000):
        for number, event in engine.step():
            if isinstance(event, ProviderError):
                raise event
            if isinstance(event, Encoded):
                found[number][event.index] = event.vector
            if isinstance(event, End):
                left.discard(number)
        if not left:
            return [_matrix(rows) for rows in found]
    raise AssertionError("It does not end.")


def _matrix(rows: dict[int, bytes]) -> Vectors:
    """Scores have eight bytes, numbers of vectors four."""
    ordered = [rows[index] for index in sorted(rows)]
    kind = "<f8" if all(len(row) == 8 for row in ordered) else "<f4"
    return np.stack([np.frombuffer(row, kind) for row in ordered])


def unit(vectors: Vectors) -> Vectors:
    """With the length 1 each."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def apart(one: Vectors, other: Vectors) -> float:
    """The largest difference of two numbers."""
    assert one.shape == other.shape
    return float(np.abs(one - other).max())
