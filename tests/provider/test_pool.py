"""Several models in one pool: loading, switching, leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from app.provider.engine import EngineLimits
from app.provider.errors import EngineBusy
from app.provider.pool import ModelPool, PoolConfig
from app.provider.types import Started
from tests.provider.asking import STARTER, collect, prompt


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[ModelPool]:
    """Three copies of the starter, of which two may be loaded."""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.gguf").write_bytes(STARTER.read_bytes())
    pool = ModelPool(PoolConfig(tmp_path, max_loaded=2, limits=EngineLimits(threads=2)))
    yield pool
    await pool.close()


async def test_the_least_recently_used_model_leaves(pool: ModelPool) -> None:
    for model in ("a", "b", "a", "c"):
        await collect(pool.stream(model, prompt("hello")))
    assert list(pool.health()) == ["a", "c"]
    assert pool.state("a") == "ready"
    assert pool.state("b") == "unloaded"


async def test_a_model_in_use_never_leaves(pool: ModelPool) -> None:
    a, b = [pool.stream(model, prompt("hello", max_tokens=2000)) for model in ("a", "b")]
    async with aclosing(a), aclosing(b):
        await anext(a)
        await anext(b)
        with pytest.raises(EngineBusy, match="in use"):
            await collect(pool.stream("c", prompt("hello")))
    assert (await collect(pool.stream("c", prompt("hello")))).text


async def test_many_requests_load_a_model_once(pool: ModelPool) -> None:
    replies = await asyncio.gather(*(collect(pool.stream("a", prompt("hello"))) for _ in range(6)))
    assert len({reply.text for reply in replies}) == 1
    status = pool.health()["a"]
    assert (status.restarts, status.state) == (0, "ready")


async def test_waiting_for_a_load_shows_progress(pool: ModelPool) -> None:
    reply = await collect(pool.stream("a", prompt("hello")))
    before = reply.events[: reply.events.index(reply.started)]
    assert any(p.phase == "loading" and p.total == 100 for p in reply.progress)
    assert all(not isinstance(event, Started) for event in before)


async def test_models_answer_side_by_side(pool: ModelPool) -> None:
    alone = await collect(pool.stream("a", prompt("hello")))
    both = await asyncio.gather(
        collect(pool.stream("a", prompt("hello"))), collect(pool.stream("b", prompt("hello")))
    )
    assert [reply.text for reply in both] == [alone.text, alone.text]


async def test_models_in_use_share_the_threads(pool: ModelPool) -> None:
    await collect(pool.stream("a", prompt("hello")))
    assert pool.health()["a"].threads == 2
    async with aclosing(pool.stream("a", prompt("hello", max_tokens=2000))) as a:
        await anext(a)
        asking = asyncio.create_task(collect(pool.stream("b", prompt("hello"))))
        await asyncio.sleep(0)
        assert [status.threads for status in pool.health().values()] == [1, 1]
        await asking
        assert pool.health()["a"].threads == 2


async def test_closing_the_pool_ends_every_process(pool: ModelPool) -> None:
    await collect(pool.stream("a", prompt("hello")))
    await pool.close()
    assert pool.health() == {}
