"""The border to the owner of loaded models: only values cross it, and everything works over it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.provider.engine import ENGINES, EngineLimits
from app.provider.errors import ContextOverflow, ModelNotFound, UnsupportedInput
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.local_host import LocalModelHost
from app.provider.pool.model_catalogue import ModelCatalogue
from app.provider.pool.model_host import HostSnapshot
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.pool.sizing import SizeEstimate
from app.provider.types import (
    Encode,
    Encoded,
    End,
    Event,
    Loaded,
    ModelRef,
    Progress,
    Prompt,
    Size,
    Started,
    TextPart,
    Tokens,
    Usage,
)
from tests.provider.asking import collect, prompt
from tests.provider.encoding.engine import FOREVER, vector

TEXTS = ("one", "two words", "and now three")


class RemoteHost:
    """A ``ModelHost`` that passes all values as bytes to another one, which scans for itself."""

    def __init__(self, config: PoolConfig) -> None:
        self._host = LocalModelHost(config, ModelCatalogue(config))
        self.crossed: list[bytes] = []

    def _sent(self, value: Any, kind: Any) -> Any:
        self.crossed.append(msgspec.msgpack.encode(value))
        return msgspec.msgpack.decode(self.crossed[-1], type=kind)

    async def _events(self, events: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        async with aclosing(events):
            async for event in events:
                yield self._sent(event, Event | Size | Tokens | Loaded)

    def stream(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Event, None]:
        ref, job = self._sent(model, ModelRef), self._sent(prompt, Prompt)
        return self._events(self._host.stream(ref, job))

    def encode(self, model: ModelRef, job: Encode) -> AsyncGenerator[Event, None]:
        ref, job = self._sent(model, ModelRef), self._sent(job, Encode)
        return self._events(self._host.encode(ref, job))

    def measure(self, model: ModelRef, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        ref, job = self._sent(model, ModelRef), self._sent(prompt, Prompt)
        return self._events(self._host.measure(ref, job))

    def tokenize(
        self, model: ModelRef, prompt: Prompt, *, special: bool = True
    ) -> AsyncGenerator[Progress | Tokens, None]:
        ref, job = self._sent(model, ModelRef), self._sent(prompt, Prompt)
        return self._events(self._host.tokenize(ref, job, special=special))

    def load(
        self, model: ModelRef, ttl: float | None = None
    ) -> AsyncGenerator[Progress | Loaded, None]:
        return self._events(self._host.load(self._sent(model, ModelRef), ttl))

    async def preload(self, model: ModelRef, ttl: float | None = None) -> None:
        await self._host.preload(self._sent(model, ModelRef), ttl)

    async def unload(self, model: str) -> bool:
        return await self._host.unload(model)

    async def plan(
        self, model: ModelRef, limits: EngineLimits
    ) -> tuple[SizeEstimate, AdmissionDecision]:
        sent = self._sent(model, ModelRef), self._sent(limits, EngineLimits)
        planned = await self._host.plan(*sent)
        made: tuple[SizeEstimate, AdmissionDecision] = self._sent(
            planned, tuple[SizeEstimate, AdmissionDecision]
        )
        return made

    def refusal(self, model: ModelRef) -> str | None:
        return self._host.refusal(self._sent(model, ModelRef))

    def problem(self) -> str | None:
        return self._host.problem()

    def snapshot(self) -> HostSnapshot:
        made: HostSnapshot = self._sent(self._host.snapshot(), HostSnapshot)
        return made

    async def measured(self) -> HostSnapshot:
        made: HostSnapshot = self._sent(await self._host.measured(), HostSnapshot)
        return made

    async def close(self) -> None:
        await self._host.close()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PoolConfig:
    """The model ``words``, which encodes, beside the echo models, which generate."""
    monkeypatch.setitem(ENGINES, "encoding", "tests.provider.encoding")
    (tmp_path / "words.encoder").write_text("nothing")
    return PoolConfig(tmp_path, echo=True, limits=EngineLimits(threads=1))


@pytest.fixture
def remote(config: PoolConfig) -> RemoteHost:
    return RemoteHost(config)


@pytest.fixture
async def pool(config: PoolConfig, remote: RemoteHost) -> AsyncIterator[ModelPool]:
    pool = ModelPool(config, remote)
    yield pool
    await pool.close()


def job(*texts: str) -> Encode:
    return Encode(tuple(map(TextPart, texts)))


async def test_items_are_encoded_in_order_and_count_as_one_request(pool: ModelPool) -> None:
    events = (await collect(pool.encode("words", job(*TEXTS)))).events
    assert [event for event in events if not isinstance(event, Progress)] == [
        Started(6, 0),
        *(Encoded(index, vector(text)) for index, text in enumerate(TEXTS)),
        End("stop", Usage(6, 0, 0)),
    ]
    async with aclosing(pool.encode("words", job("one", FOREVER))) as cancelled:
        async for event in cancelled:
            if isinstance(event, Encoded):
                break
    with pytest.raises(ContextOverflow):
        await collect(pool.encode("words", job("word " * 65)))
    metrics = pool.snapshot().metrics["words"]
    assert metrics.requests == {
        ("stop", ""): 1,
        ("cancelled", ""): 1,
        ("refused", "ContextOverflow"): 1,
    }
    assert (metrics.prompt_tokens, metrics.completion_tokens) == (6 + 2, 0)
    with pytest.raises(UnsupportedInput, match="generates no text"):
        await collect(pool.stream("words", prompt("hello")))
    with pytest.raises(UnsupportedInput, match="does not encode"):
        await collect(pool.encode("echo", job("one")))


async def test_everything_works_where_only_values_cross(
    pool: ModelPool, remote: RemoteHost, config: PoolConfig
) -> None:
    estimate, decision = await pool.plan("words", config.limits)
    assert (estimate.need.weights, decision) == (7, AdmissionDecision())
    assert [event async for event in pool.load("words")][-1] == Loaded()
    await pool.preload("echo")
    assert (await pool.size("echo", prompt("one two"))).tokens == 2
    assert (await collect(pool.stream("echo", prompt("one two")))).text == "one two"
    measured = await pool.measured()
    assert {model: one.state for model, one in measured.statuses.items()} == {
        "words": "ready",
        "echo": "ready",
    }
    assert measured.ledger["words"].measured > 2**20
    assert measured.limits.threads == 1
    assert pool.is_healthy()
    await pool.unload("words")
    assert pool.state("words") == "unloaded"
    sent = b"".join(remote.crossed)
    assert b"words" in sent
    assert str(config.models_dir).encode() not in sent


async def test_an_owner_finds_the_files_by_itself(config: PoolConfig, remote: RemoteHost) -> None:
    (card,) = [card for card in ModelCatalogue(config).scan() if card.id == "words"]
    (config.models_dir / "words.encoder").write_text("something else")
    assert (await remote.plan(card.ref, config.limits))[0].need.weights == len("something else")
    with pytest.raises(ModelNotFound):
        await remote.plan(ModelRef("letters", ""), config.limits)
