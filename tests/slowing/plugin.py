"""The options ``--slowed`` and ``--slowed-seed``."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slowing.pauses import LinePauses, RandomPauses

ROOT = Path(__file__).parents[2]
CHILDREN = Path(__file__).parent / "children"
VARIANTS = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("slowing", "races that a busy machine may lose (tests/slowing)")
    group.addoption("--slowed", choices=["app", "tests"], help="what pauses at random")
    group.addoption("--slowed-seed", default="1", help="chooses where, and which variants run")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("slowed") == "app":
        seed = config.getoption("slowed_seed")
        path = os.pathsep.join([str(CHILDREN), str(ROOT), os.environ.get("PYTHONPATH", "")])
        os.environ |= {"SLOWED_SEED": seed, "PYTHONPATH": path.rstrip(os.pathsep)}
        threading.settrace(RandomPauses(seed).trace)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("slowed"):
        return
    variants: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        variants[item.nodeid.partition("[")[0]].append(item)
    chosen = random.Random(config.getoption("slowed_seed"))
    kept = {
        item.nodeid
        for some in variants.values()
        for item in chosen.sample(some, min(VARIANTS, len(some)))
    }
    items[:] = [item for item in items if item.nodeid in kept]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    if item.config.getoption("slowed") != "tests":
        return (yield)
    sys.settrace(LinePauses().trace)
    try:
        return (yield)
    finally:
        sys.settrace(None)
