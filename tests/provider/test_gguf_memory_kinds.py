"""Prefix reuse where a model's memory cannot be cut anywhere, in both layouts of the context."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.provider.types import Sampling
from tests.provider import memory_kinds
from tests.provider.asking import Reply, prompt
from tests.provider.gguf_driver import Driver
from tests.selection import matrix

SLOTS, CONVERSATIONS = 3, 5


def ask(driver: Driver, prompts: list[list[int]], max_tokens: int) -> list[Reply]:
    """Answers to prompts given as tokens, at the same time."""
    blank = driver.engine.prepare(prompt("x"))
    sampling = Sampling(max_tokens=max_tokens, temperature=0)
    prepared = [replace(blank, tokens=array("i", one), sampling=sampling) for one in prompts]
    return driver.finish([driver.admit(one) for one in prepared])


@pytest.mark.parametrize("kv_bytes", [2**29, *matrix(1)])
@pytest.mark.parametrize(
    "write", [*matrix(memory_kinds.recurrent), memory_kinds.hybrid, memory_kinds.sliding_window]
)
def test_conversations_go_on_where_they_were(
    tmp_path: Path, write: Callable[[Path], Path], kv_bytes: int
) -> None:
    path = write(tmp_path / "model.gguf")
    limits = {"threads": 1, "slots": SLOTS, "context_length": 512, "kv_cache_bytes": kv_bytes}
    driver = Driver.of(path, **limits)
    prompts = [[*range(300 + 50 * number, 381 + 50 * number)] for number in range(CONVERSATIONS)]
    for begun in (prompts[:SLOTS], prompts[SLOTS:]):
        assert [reply.started.cached_tokens for reply in ask(driver, begun, 1)] == [0] * len(begun)
    longer = [[*tokens, 700] for tokens in prompts]
    warm = [reply for tokens in longer for reply in ask(driver, [tokens], 8)]
    assert [reply.started.cached_tokens for reply in warm] == [81] * CONVERSATIONS
    cold = ask(Driver.of(path, **limits), longer[:SLOTS], 8)
    assert [reply.text for reply in warm[:SLOTS]] == [reply.text for reply in cold]
    assert len({reply.text for reply in warm}) > 1
