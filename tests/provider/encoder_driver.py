"""An encoder in this process, loaded by the product's own loader."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.engine import EncoderEngine
from app.provider.encoding.runner import EncoderItem
from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load
from app.provider.errors import ProviderError
from app.provider.types import Encode, Encoded, End, PairPart, TextPart

Vectors = NDArray[np.float32]


def load_encoder(engine: str, path: Path, **limits: Any) -> Engine:
    """What the engine process would load."""
    return load(EngineSpec(ENGINES[engine], str(path), EngineLimits(**limits)), _ignore)


def _ignore(_percent: int) -> None: ...


def encoded(engine: Engine, task: Encode) -> list[Encoded]:
    """The answers of a job, in the order of its items; raises the error that ends it."""
    assert engine.admit(1, engine.prepare(task))
    found: dict[int, Encoded] = {}
    while True:
        for _, event in engine.step():
            if isinstance(event, ProviderError):
                raise event
            if isinstance(event, Encoded):
                found[event.index] = event
            if isinstance(event, End):
                assert event.usage.prompt_tokens == sum(one.tokens for one in found.values())
                return [found[index] for index in range(len(task.items))]


def vectors(engine: Engine, texts: Iterable[str], **options: Any) -> Vectors:
    """One row for each text."""
    answers = encoded(engine, Encode(tuple(map(TextPart, texts)), **options))
    return np.stack([np.frombuffer(one.vector, "<f4") for one in answers])


def scores(engine: Engine, pairs: Iterable[tuple[str, str]], **options: Any) -> NDArray[np.float64]:
    """One number for each pair."""
    items = tuple(PairPart(query, document) for query, document in pairs)
    answers = encoded(engine, Encode(items, **options))
    return np.array([np.frombuffer(one.vector, "<f8")[0] for one in answers])


def item(engine: Engine, part: Any, *, prompt: str = "", truncate: bool = False) -> EncoderItem:
    """What becomes of one part."""
    assert isinstance(engine, EncoderEngine)
    return engine._runner.prepare(part, index=0, prompt=prompt, truncate=truncate)


def cosines(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Row by row."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    found: NDArray[Any] = (first * second).sum(axis=1) / lengths
    return found
