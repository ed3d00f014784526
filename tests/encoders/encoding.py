"""Runs a job of encoding in this process, without the worker and the pool."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load
from app.provider.errors import ProviderError
from app.provider.types import Encode, Encoded, End, ImagePart, PairPart, TextPart, TokensPart

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
    assert engine.admit(1, engine.prepare(Encode(items, **options)))
    found: dict[int, Encoded] = {}
    while True:
        for _, event in engine.step():
            if isinstance(event, ProviderError):
                raise event
            if isinstance(event, Encoded):
                found[event.index] = event
            if isinstance(event, End):
                return [found[index] for index in range(len(items))]
