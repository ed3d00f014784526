"""Runs a job of encoding in this process, without the worker and the pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load
from app.provider.errors import ProviderError
from app.provider.types import Encode, Encoded, End, ImagePart, PairPart, TextPart, TokensPart
from tests.encoders.inputs import IMAGE_SIZES, images

Part = TextPart | TokensPart | PairPart | ImagePart


def loaded(engine: str, folder: Path, **limits: Any) -> Engine:
    """The engine of a folder."""
    spec = EngineSpec(ENGINES[engine], str(folder), EngineLimits(threads=1, **limits))
    return load(spec, lambda _: None)


def encoded(engine: Engine, parts: Iterable[Part | str], **options: Any) -> NDArray[np.float32]:
    """The vectors of texts and other parts [parts, dimensions], as float32."""
    return np.stack([np.frombuffer(one.vector, "<f4") for one in answers(engine, parts, **options)])


def scored(engine: Engine, pairs: Iterable[tuple[str, str]], **options: Any) -> NDArray[np.float64]:
    """The scores of pairs."""
    parts = [PairPart(*pair) for pair in pairs]
    found = [np.frombuffer(one.vector, "<f8")[0] for one in answers(engine, parts, **options)]
    return np.array(found)


def answers(engine: Engine, parts: Iterable[Part | str], **options: Any) -> list[Encoded]:
    """The answers in the order of the parts; raises the error that ends the job."""
    items = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return answers_to_jobs(engine, [Encode(items, **options)])[0]


def answers_to_jobs(engine: Engine, jobs: Sequence[Encode]) -> list[list[Encoded]]:
    """The answers to jobs that share the forward passes."""
    for number, job in enumerate(jobs):
        assert engine.admit(number, engine.prepare(job))
    found: list[dict[int, Encoded]] = [{} for _ in jobs]
    left = len(jobs)
    while left:
        for number, event in engine.step():
            if isinstance(event, ProviderError):
                raise event
            if isinstance(event, Encoded):
                found[number][event.index] = event
            left -= isinstance(event, End)
    return [[rows[index] for index in sorted(rows)] for rows in found]


def image_parts() -> list[ImagePart]:
    """The images of ``inputs``."""
    sizes = zip(images(), IMAGE_SIZES, strict=True)
    return [ImagePart(png, sha256(png).hexdigest(), *size) for png, size in sizes]


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """Vectors with the length 1, which is how an engine gives them."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference of two numbers."""
    assert one.shape == other.shape
    return float(np.abs(one - other).max())
