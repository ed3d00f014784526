"""What comes between: models that leave, fail, change or vanish while others ask for them."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.provider.card import ModelCard
from app.provider.catalogue.scan import scan
from app.provider.errors import EngineBusy, EngineUnavailable, ModelNotFound, ModelNotLoadable
from app.provider.pool import model_catalogue
from app.provider.pool.pool import ModelPool
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from tests.provider.asking import STARTER, collect, host_of, prompt
from tests.provider.scripted import make
from tests.provider.test_pool import SMALL, in_use, pool_of, until

pytestmark = pytest.mark.slow


def living() -> set[int]:
    """Child processes, those included that have ended and were not waited for."""
    return {child.pid for child in psutil.Process().children()}


async def say_hello(pool: ModelPool, model: str) -> None:
    await collect(pool.stream(model, prompt("hello", max_tokens=4)))


async def test_a_model_that_is_leaving_comes_back_only_when_its_bytes_are_free(
    tmp_path: Path,
) -> None:
    async with pool_of(tmp_path, limits=SMALL) as pool:
        budget = int(1.5 * (await pool.plan("a", SMALL))[0].ram)
    async with pool_of(tmp_path, limits=SMALL, memory_budget=budget) as pool:
        for _ in range(5):
            await say_hello(pool, "a")
            leaving = asyncio.create_task(pool.unload("a"))
            while pool.health():
                await asyncio.sleep(0)
            coming = asyncio.create_task(pool.preload("a"))
            while not pool.health():
                await asyncio.sleep(0)
                assert leaving.done() or not pool.health()
            await coming


def spoil(path: Path) -> None:
    """A whole file that no engine can load, which only loading it tells."""
    make(path, template="{% if %}")


async def test_what_failed_leaves_before_what_works(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=SMALL) as pool:
        spoil(tmp_path / "b.gguf")
        await say_hello(pool, "a")
        with pytest.raises(ModelNotLoadable):
            await say_hello(pool, "b")
        assert (await pool.plan("c", SMALL))[1].evict == ("b",)
        await say_hello(pool, "c")
        assert list(pool.health()) == ["a", "c"]


async def test_what_failed_does_not_keep_a_place_that_only_the_user_could_free(
    tmp_path: Path,
) -> None:
    async with pool_of(tmp_path, limits=SMALL, auto_unload=False) as pool:
        spoil(tmp_path / "b.gguf")
        await say_hello(pool, "a")
        with pytest.raises(ModelNotLoadable):
            await say_hello(pool, "b")
        await say_hello(pool, "c")
        assert list(pool.health()) == ["a", "c"]


async def test_a_plan_and_a_load_agree_when_nothing_is_unloaded_by_itself(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=SMALL, auto_unload=False) as pool:
        for model in "ab":
            await say_hello(pool, model)
        decision = (await pool.plan("c", SMALL))[1]
        assert (decision.evict, decision.wait) == ((), False)
        with pytest.raises(EngineBusy, match="unload one") as refused:
            await say_hello(pool, "c")
        assert decision.refused == str(refused.value)
        leaving = asyncio.create_task(pool.unload("a"))
        while "a" in pool.health():
            await asyncio.sleep(0)
        await say_hello(pool, "c")  # waits for what the user unloads
        await leaving


async def test_where_nobody_may_wait_models_are_loaded_all_the_same(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=SMALL, policy=HostPolicy(max_waiting=0)) as pool:
        await say_hello(pool, "a")
        async with in_use(pool, "a", "b"):
            first = asyncio.create_task(say_hello(pool, "c"))
            await asyncio.sleep(0.1)
            with pytest.raises(EngineBusy, match="1 requests wait"):
                await say_hello(pool, "c")
        await first


async def test_closing_waits_for_a_model_whose_unloading_was_given_up(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=SMALL) as pool:
        before = living()
        await say_hello(pool, "a")
        unloading = asyncio.create_task(pool.unload("a"))
        while pool.health():
            await asyncio.sleep(0)
        unloading.cancel()
        await pool.close()
        assert living() == before


async def test_the_first_request_after_a_silence_sees_the_files_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_catalogue, "_RESCAN_SECONDS", 0.1)
    monkeypatch.setattr(model_catalogue, "_STALE_SECONDS", 0.2)
    monkeypatch.setattr(model_catalogue, "_SCAN_WAIT_SECONDS", 600)
    async with pool_of(tmp_path, limits=SMALL) as pool:
        await say_hello(pool, "a")
        before = pool.health()["a"].pid
        (tmp_path / "new").write_bytes(STARTER.read_bytes())
        (tmp_path / "new").replace(tmp_path / "a.gguf")
        await asyncio.sleep(0.3)
        await say_hello(pool, "a")
        after = pool.health()["a"].pid
        assert after != before
        await asyncio.sleep(0.3)
        await say_hello(pool, "a")
        assert pool.health()["a"].pid == after


async def test_a_request_to_a_loaded_model_waits_for_no_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_catalogue, "_RESCAN_SECONDS", 0.1)
    monkeypatch.setattr(model_catalogue, "_STALE_SECONDS", 0.2)
    monkeypatch.setattr(model_catalogue, "_SCAN_WAIT_SECONDS", 600)
    answered = threading.Event()

    def slow_scan(*args: Any) -> list[ModelCard]:
        answered.wait(600)
        return scan(*args)

    async with pool_of(tmp_path, limits=SMALL) as pool:
        await say_hello(pool, "a")
        pool.cards()
        monkeypatch.setattr(model_catalogue, "scan", slow_scan)
        await asyncio.sleep(0.3)
        try:
            async with asyncio.timeout(60):
                await say_hello(pool, "a")
            waiting = asyncio.create_task(say_hello(pool, "b"))  # it is not loaded
            await asyncio.sleep(0.3)
            assert not waiting.done()
            assert pool.state("b") == "unloaded"
        finally:
            answered.set()
        await waiting


async def test_a_model_whose_file_is_gone_can_be_unloaded(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=SMALL) as pool:
        await say_hello(pool, "a")
        (tmp_path / "a.gguf").unlink()
        pool.cards()
        with pytest.raises(ModelNotFound):
            await say_hello(pool, "a")
        await pool.unload("a")
        assert pool.health() == {}


async def test_what_a_process_holds_is_told_from_its_first_load_on(tmp_path: Path) -> None:
    async with pool_of(tmp_path, limits=SMALL) as pool:
        _ = [event async for event in pool.load("a")]
        assert pool.snapshot().ledger["a"].measured > STARTER.stat().st_size
        await say_hello(pool, "b")
        assert pool.snapshot().ledger["b"].measured == 0
        assert (await pool.measured()).ledger["b"].measured > STARTER.stat().st_size


async def test_a_process_that_cannot_be_started_fails_its_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = host_of("echo")
    monkeypatch.setattr(sys, "executable", "/nowhere")
    asking = asyncio.create_task(collect(host.stream(prompt("hello"))))
    async with asyncio.timeout(60):
        with pytest.raises(EngineUnavailable, match="No process can be started"):
            await asking
    assert host.status().state == "failed"
    monkeypatch.undo()
    assert (await collect(host.stream(prompt("hello")))).text
    await host.stop()


async def test_stopping_while_the_process_starts_leaves_none_behind() -> None:
    before = living()
    host: EngineHost = host_of("echo")
    host.start()
    while living() == before:
        await asyncio.sleep(0)
    assert host.status().pid is None
    await host.stop()
    assert living() == before


async def test_a_request_that_is_cancelled_while_others_leave_loses_nothing(
    tmp_path: Path,
) -> None:
    async with pool_of(tmp_path, limits=SMALL) as pool:
        for model in "ab":
            await say_hello(pool, model)
        coming = asyncio.create_task(say_hello(pool, "c"))
        await until(lambda: "a" not in pool.health())
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        for model in "cab":
            await say_hello(pool, model)
        assert list(pool.health()) == ["a", "b"]
