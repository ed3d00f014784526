"""Asks a host to encode, and keeps what came back; the encoders that keep the contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.provider.card import ModelCard
from app.provider.engine import ENGINES, EngineLimits, EngineSpec, format_of, missing_library
from app.provider.engines.echo.format import ALL as ECHO_MODELS
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Encode, Encoded, End, Event, PairPart, Started, TextPart
from tests.encoders.checkpoints import write_checkpoint
from tests.encoders.gguf_files import write_encoder
from tests.encoders.onnx_graphs import write_onnx_folder
from tests.selection import matrix

Vectors = NDArray[np.float32]
Write = Callable[[Path], Path]
"""Writes a model into a folder, unless it needs none; returns what the engine is given."""


def echo(name: str) -> Write:
    """A model without a file."""
    return lambda _: Path(name)


def checkpoint(name: str) -> Write:
    """A folder with random weights."""
    return lambda folder: write_checkpoint(name, folder / name)


def gguf(name: str) -> Write:
    """The same as a GGUF file."""
    return lambda folder: write_encoder(checkpoint(name)(folder), folder / f"{name}.gguf")


def onnx(family: str) -> Write:
    """The same with its graph in ONNX."""
    return lambda folder: write_onnx_folder(family, folder / family)


EMBEDDERS: dict[str, Write] = {
    "echo": echo("echo-embed"),
    "gguf": gguf("bert-mean"),
    "onnx": onnx("bert-mean"),
    "pytorch": checkpoint("bert-mean"),
}
"""Engine → the text embedder that the contract suite asks of it; new engines join here."""

RERANKERS: dict[str, Write] = {
    "echo": echo("echo-rerank"),
    "gguf": gguf("xlmr-cross-encoder"),
    "onnx": onnx("bert-cross-encoder"),
    "pytorch": checkpoint("bert-cross-encoder"),
}
"""Engine → a reranker of pairs."""

EVERY_ENGINE = ["echo", "gguf", "onnx", *matrix("pytorch")]


def encoder_host(
    engine: str, path: Path, policy: HostPolicy | None = None, **limits: Any
) -> EngineHost:
    """A host that is not started; the test is skipped where the engine's library is missing."""
    name = engine.partition("-")[0]
    if library := missing_library(name):
        pytest.skip(f"{name}: {library} is not installed")
    spec = EngineSpec(ENGINES[name], str(path), EngineLimits(**limits))
    return EngineHost(spec, policy or HostPolicy())


def card_of(engine: str, path: Path) -> ModelCard:
    """The card of a model of the tables above."""
    if engine == "echo":
        return next(card for card in ECHO_MODELS if card.path == path)
    card = format_of(engine).read(path)
    assert card
    return card


@dataclass
class Encoding:
    """The events of one stream."""

    events: list[Event] = field(default_factory=list)

    @property
    def encoded(self) -> list[Encoded]:
        """In the order of the items."""
        found = [event for event in self.events if isinstance(event, Encoded)]
        return sorted(found, key=lambda one: one.index)

    @property
    def vectors(self) -> Vectors:
        return np.stack([np.frombuffer(one.vector, "<f4") for one in self.encoded])

    @property
    def scores(self) -> list[float]:
        return [one.score for one in self.encoded]

    @property
    def end(self) -> End:
        (end,) = [event for event in self.events if isinstance(event, End)]
        return end

    @property
    def started(self) -> Started:
        (started,) = [event for event in self.events if isinstance(event, Started)]
        return started


def texts(*texts: str, **options: Any) -> Encode:
    return Encode(tuple(map(TextPart, texts)), **options)


def pairs(query: str, *documents: str, **options: Any) -> Encode:
    return Encode(tuple(PairPart(query, document) for document in documents), **options)


async def collect_encoding(events: AsyncGenerator[Event, None]) -> Encoding:
    """Read a stream to its end."""
    async with aclosing(events):
        return Encoding([event async for event in events])


async def encode(host: EngineHost, task: Encode) -> Encoding:
    return await collect_encoding(host.stream(task))
