"""How long a loaded model stays idle after requests through presets, with either owner of it.

Timers of equal length end in the order in which they began, so a model that stays is seen by
another one that has left after it should have.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.model_server.config import ServerConfig
from app.provider.pool import loaded_model
from app.provider.pool.pool import ModelPool
from tests.provider.asking import collect, prompt
from tests.provider.model_server.processes import GUARD_SECONDS, connected, server_config, until
from tests.selection import matrix

pytestmark = pytest.mark.slow

PRESETS: dict[str, dict[str, Any]] = {
    "brief": {"model": "echo", "ttl_seconds": 0},
    "kept": {"model": "echo", "ttl_seconds": -1},
    "plain": {"model": "echo"},
    "last": {"model": "echo-vision", "ttl_seconds": 1},
}


@pytest.fixture
def config(tmp_path: Any) -> ServerConfig:
    for name, fields in PRESETS.items():
        (tmp_path / f"{name}.preset.json").write_text(json.dumps(fields))
    return server_config(tmp_path)


@pytest.fixture(params=["local", *matrix("shared")])
async def pool(request: pytest.FixtureRequest, config: ServerConfig) -> AsyncIterator[ModelPool]:
    if request.param == "shared":
        async with connected(config) as runtime:
            yield ModelPool(config.pool, runtime.host)
    else:
        pool = ModelPool(config.pool)
        yield pool
        await pool.close()


async def asked(pool: ModelPool, *models: str) -> None:
    for model in models:
        await collect(pool.stream(model, prompt("hello")))


async def until_unloaded(pool: ModelPool, model: str) -> None:
    await until(lambda: pool.state(model) == "unloaded")


async def test_it_leaves_after_the_time_of_the_preset(pool: ModelPool) -> None:
    await asked(pool, "brief")
    assert pool.state("echo") == "ready"
    await until_unloaded(pool, "echo")


@pytest.mark.parametrize("after", ["kept", *matrix("echo", "plain")])
async def test_the_last_request_counts(pool: ModelPool, after: str) -> None:
    await asked(pool, "brief", after, "last")
    await until_unloaded(pool, "echo-vision")
    assert pool.state("echo") == "ready"
    await asked(pool, "brief")
    await until_unloaded(pool, "echo")


@pytest.mark.matrix
async def test_a_title_and_a_count_leave_it_as_the_preset_says(pool: ModelPool) -> None:
    await asked(pool, "brief")
    title = pool.card("brief").without_preset()
    await collect(pool.stream(title, prompt("hello")))
    await until_unloaded(pool, "echo")
    assert (await pool.size("brief", prompt("hello"))).tokens == 1
    await until_unloaded(pool, "echo")


async def test_requests_that_follow_each_other_find_it_loaded(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_model, "LEAST_IDLE_SECONDS", GUARD_SECONDS)
    pool = ModelPool(config.pool)
    for _ in range(3):
        await pool.size("brief", prompt("hello"))
        for _ in range(5):  # what is due now happens now
            await asyncio.sleep(0)
    assert pool.snapshot().metrics["echo"].loads == 1
    await pool.close()


async def test_so_does_loading_it(pool: ModelPool) -> None:
    async for _ in pool.load("brief"):
        pass
    assert pool.state("echo") == "ready"
    await until_unloaded(pool, "echo")
    await pool.preload("brief")
    await until(lambda: pool.state("echo") != "unloaded")
    await until_unloaded(pool, "echo")
