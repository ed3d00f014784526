"""Several models in one pool: loading, switching, leaving."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from app.provider.engine import EngineLimits
from app.provider.errors import EngineBusy, ModelInUse, ModelNotLoadable
from app.provider.pool import loaded_models
from app.provider.pool.hardware import resident_bytes
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.runtime.status import HostPolicy
from app.provider.types import Event, Loaded, Progress, Started
from tests.provider.asking import STARTER, change_policy, collect, prompt
from tests.selection import matrix

pytestmark = pytest.mark.slow


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[ModelPool]:
    """Three copies of the starter, of which two may be loaded."""
    async with pool_of(tmp_path) as pool:
        yield pool


@asynccontextmanager
async def pool_of(folder: Path, **options: Any) -> AsyncIterator[ModelPool]:
    for name in ("a", "b", "c"):
        (folder / f"{name}.gguf").write_bytes(STARTER.read_bytes())
    pool = ModelPool(PoolConfig(folder, **{"limits": EngineLimits(threads=1), **options}))
    yield pool
    await pool.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def in_use(pool: ModelPool, *models: str) -> AsyncIterator[list[AsyncGenerator[Event, None]]]:
    """Begin an answer of each model, and leave it unread."""
    async with AsyncExitStack() as stack:
        streams = []
        for model in models:
            events = pool.stream(model, prompt("hello", max_tokens=2000))
            streams.append(await stack.enter_async_context(aclosing(events)))
            while not isinstance(await anext(events), Started):
                pass
        yield streams


async def test_the_least_recently_used_model_leaves(pool: ModelPool) -> None:
    for model in ("a", "b", "a", "c"):
        await collect(pool.stream(model, prompt("hello")))
    assert list(pool.health()) == ["a", "c"]
    assert pool.state("a") == "ready"
    assert pool.state("b") == "unloaded"


async def test_a_model_in_use_never_leaves_and_who_needs_its_room_waits(pool: ModelPool) -> None:
    async with in_use(pool, "a", "b") as streams:
        waiting = asyncio.create_task(collect(pool.stream("c", prompt("hello"))))
        await asyncio.sleep(0.2)
        assert list(pool.health()) == ["a", "b"]
        assert not waiting.done()
        await streams[1].aclose()
        assert (await waiting).text
        assert list(pool.health()) == ["a", "c"]


async def test_a_second_one_in_line_is_told_how_many_are_ahead(pool: ModelPool) -> None:
    shutil.copy(STARTER, pool.card("a").path.with_name("d.gguf"))
    pool.cards()
    async with in_use(pool, "a", "b"):
        asking = [asyncio.create_task(collect(pool.stream(m, prompt("hello")))) for m in "cd"]
        await asyncio.sleep(0.2)
    _, second = await asyncio.gather(*asking)
    assert second.progress[0] == Progress("queued", 1)


async def test_a_busy_model_does_not_keep_another_out_for_ever(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_models, "PATIENCE", 0.3)
    done = asyncio.Event()

    async def busy(model: str) -> None:
        while not done.is_set():
            await collect(pool.stream(model, prompt("hello", max_tokens=40)))

    users = [asyncio.create_task(busy(model)) for model in ("a", "a", "b", "b")]
    await until(lambda: [one.active > 0 for one in pool.health().values()] == [True, True])
    async with asyncio.timeout(60):
        assert (await collect(pool.stream("c", prompt("hello")))).text
    done.set()
    await asyncio.gather(*users)


async def test_who_waits_too_long_is_refused(tmp_path: Path) -> None:
    policy = HostPolicy()
    async with pool_of(tmp_path, policy=policy) as pool, in_use(pool, "a", "b"):
        change_policy(policy, load_seconds=0.5)
        with pytest.raises(EngineBusy, match="stayed in use"):
            await collect(pool.stream("c", prompt("hello")))


async def test_a_cancelled_wait_leaves_the_line(pool: ModelPool) -> None:
    async with in_use(pool, "a", "b"):
        waiting = asyncio.create_task(collect(pool.stream("c", prompt("hello"))))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await collect(pool.stream("a", prompt("hello")))).text
    assert (await collect(pool.stream("c", prompt("hello")))).text


async def test_without_auto_unload_only_the_user_unloads(tmp_path: Path) -> None:
    async with pool_of(tmp_path, auto_unload=False) as pool:
        for model in ("a", "b"):
            await collect(pool.stream(model, prompt("hello")))
        with pytest.raises(EngineBusy, match="LLM_AUTO_UNLOAD_MODELS"):
            await collect(pool.stream("c", prompt("hello")))
        await pool.unload("a")
        assert (await collect(pool.stream("c", prompt("hello")))).text


async def test_an_idle_model_leaves_after_its_time(tmp_path: Path) -> None:
    async with pool_of(tmp_path, ttl=0.5) as pool:
        await collect(pool.stream("a", prompt("hello")))
        async with in_use(pool, "b"):
            await until(lambda: pool.state("a") == "unloaded")
            assert pool.state("b") == "ready"
        await until(lambda: pool.state("b") == "unloaded")
        assert pool.health() == {}


async def test_a_model_that_is_used_cannot_be_unloaded(pool: ModelPool) -> None:
    async with in_use(pool, "a"):
        with pytest.raises(ModelInUse, match="1 requests"):
            await pool.unload("a")
    await pool.unload("a")
    await pool.unload("a")
    assert pool.state("a") == "unloaded"


async def test_load_shows_progress_and_ends_when_the_model_is_there(pool: ModelPool) -> None:
    events = [event async for event in pool.load("a")]
    assert isinstance(events[0], Progress)
    assert events[-1] == Loaded()
    assert pool.state("a") == "ready"
    assert [event async for event in pool.load("a")] == [Loaded()]


async def test_a_new_file_of_the_same_name_is_loaded_when_the_old_one_is_idle(
    pool: ModelPool,
) -> None:
    await collect(pool.stream("a", prompt("hello")))
    path = pool.card("a").path
    async with in_use(pool, "a"):
        before = pool.health()["a"].pid
        path.with_suffix(".new").write_bytes(STARTER.read_bytes())
        path.with_suffix(".new").replace(path)
        await asyncio.to_thread(pool.cards)
        await collect(pool.stream("a", prompt("hello")))
        assert pool.health()["a"].pid == before
    assert (await collect(pool.stream("a", prompt("hello")))).text
    assert pool.health()["a"].pid != before


async def test_a_model_that_can_never_fit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    async with pool_of(tmp_path, memory_budget=2**20) as pool:
        with pytest.raises(ModelNotLoadable, match="models may take 1 MB"):
            await collect(pool.stream("a", prompt("hello")))
        assert pool.health() == {}


SMALL = EngineLimits(threads=1, kv_cache_bytes=8 * 2**20, prefix_cache_bytes=8 * 2**20)


@pytest.mark.parametrize("requests", [20, *matrix(50)])
async def test_the_budget_is_never_exceeded(tmp_path: Path, requests: int) -> None:
    """Three models, room for two, many requests, up to three at once."""
    async with pool_of(tmp_path, limits=SMALL) as pool:
        each = (await pool.plan("a", SMALL))[0].ram
    budget = int(2.5 * each)
    async with pool_of(tmp_path, limits=SMALL, memory_budget=budget, max_loaded=9) as pool:
        most = [0]
        watching = asyncio.create_task(watch(pool, most))
        chance = Random(7)
        gate = asyncio.Semaphore(3)

        async def one(model: str) -> str:
            async with gate:
                return (await collect(pool.stream(model, prompt("hello", max_tokens=20)))).text

        texts = await asyncio.gather(*(one(chance.choice("abc")) for _ in range(requests)))
        watching.cancel()
    assert len(set(texts)) == 1
    assert each < most[0] <= budget


def is_engine(child: psutil.Process) -> bool:
    """Whether it runs an engine; not what other tests left, nor a child that has just begun."""
    try:
        return "app.provider.runtime.worker" in child.cmdline()
    except psutil.Error:
        return False  # it has ended


async def watch(pool: ModelPool, most: list[int]) -> None:
    """Measure the pool's engine processes together, again and again, from before the first."""
    others = set(psutil.Process().children())
    while True:
        engines = filter(is_engine, set(psutil.Process().children()) - others)
        most[0] = max(most[0], sum(resident_bytes(engine.pid) for engine in engines))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("kv_megabytes", [*matrix(8, 32), 64])
async def test_what_was_predicted_is_what_the_process_takes(
    tmp_path: Path, kv_megabytes: int
) -> None:
    limits = EngineLimits(threads=1, kv_cache_bytes=kv_megabytes * 2**20)
    async with pool_of(tmp_path, limits=limits) as pool:
        predicted = (await pool.plan("a", limits))[0].need.at_start
        many = [collect(pool.stream("a", prompt(f"{n} hello " * 50))) for n in range(8)]
        await asyncio.gather(*many)
        pid = pool.health()["a"].pid
        assert pid
        assert resident_bytes(pid) == pytest.approx(predicted, rel=0.15)


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


async def test_models_in_use_share_the_threads(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=EngineLimits(threads=2)) as pool:
        await collect(pool.stream("a", prompt("hello")))
        assert pool.health()["a"].threads == 2
        async with aclosing(pool.stream("a", prompt("hello", max_tokens=2000))) as a:
            await anext(a)
            async with in_use(pool, "b"):
                assert [one.threads for one in pool.health().values()] == [1, 1]
            assert pool.health()["a"].threads == 2


async def test_closing_the_pool_ends_every_process(pool: ModelPool) -> None:
    await collect(pool.stream("a", prompt("hello")))
    await pool.close()
    assert pool.health() == {}
