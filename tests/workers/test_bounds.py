"""What is bounded for the machine is divided among the workers, and each can still do all."""

from __future__ import annotations

import multiprocessing

import pytest

from app.config import InvalidSetting, Settings, read
from app.lifespan.engine_runtime import WorkerGroup, worker_group
from app.storage.pool_size import PoolSize
from app.web.bounds import HELD_BYTES

PLENTY = 10**6
"""Descriptors of a process."""


@pytest.mark.parametrize("workers", [2, 4])
def test_bounds_are_divided(workers: int) -> None:
    settings = Settings(_env_file=None, max_connections=400)
    one, each = settings.connections(PLENTY), settings.connections(PLENTY, workers)
    assert each.connections * workers == one.connections == 400
    assert each.held_bytes * workers == one.held_bytes > HELD_BYTES
    assert settings.read_at_once(workers) * workers == settings.read_at_once()
    assert settings.media(workers).max_waiting * workers == settings.media().max_waiting


@pytest.mark.parametrize("workers", [8, 64])
def test_each_worker_can_do_everything_once(workers: int) -> None:
    settings = Settings(_env_file=None, max_connections=4)
    assert settings.connections(PLENTY, workers).connections == 1
    assert settings.read_at_once(workers) == settings.largest_request()
    assert settings.media(workers).workers == 1
    assert PoolSize().share(workers) == PoolSize(readers=2, scanners=1, writers=1)


def test_one_process_has_it_all() -> None:
    assert PoolSize().share(1) == PoolSize()
    settings = Settings(_env_file=None)
    assert settings.connections(PLENTY, 1) == settings.connections(PLENTY)
    assert settings.media(1) == settings.media()


@pytest.mark.parametrize(
    ("workers", "runtime", "shares"),
    [(1, "", False), (1, "local", False), (1, "shared", True), (2, "", True), (2, "shared", True)],
)
def test_who_owns_the_models(
    monkeypatch: pytest.MonkeyPatch, workers: int, runtime: str, shares: bool
) -> None:
    monkeypatch.setenv("WORKERS", str(workers))
    monkeypatch.setenv("ENGINE_RUNTIME", runtime)
    settings = read()
    assert settings.shares_models == shares
    assert worker_group(settings) == WorkerGroup(workers, shares)


def test_several_owners_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "2")
    monkeypatch.setenv("ENGINE_RUNTIME", "local")
    with pytest.raises(InvalidSetting, match=r"^ENGINE_RUNTIME=local: .*2 processes would each"):
        read()


def test_a_process_that_something_has_spawned_shares_the_models() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        group = pool.apply(worker_group, [Settings(_env_file=None)])
    assert group.shared
    assert group.instance == str(multiprocessing.current_process().pid)
