"""Very large requests: their memory is bounded, and a pass that takes minutes is no hang."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import psutil
import pytest

from app.provider.engine import EngineLimits, EngineSpec
from app.provider.errors import EngineUnavailable
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Encoded
from tests.provider.asking import change_policy
from tests.provider.encoder_asking import encode, texts
from tests.provider.long_inputs.engine import BUSY, BUSY_SECONDS, TOKENS

MOST_BYTES = 128 * 2**20
"""Tokens of all texts at once would take five times as much."""


def host_of(path: str, policy: HostPolicy) -> EngineHost:
    return EngineHost(EngineSpec("tests.provider.long_inputs", path, EngineLimits()), policy)


async def test_memory_does_not_grow_with_the_tokens_of_a_request() -> None:
    host = host_of("", HostPolicy())
    await encode(host, texts("one", normalize=False))
    engine = psutil.Process(host.status().pid)
    before = most = engine.memory_info().rss
    found = []
    async with aclosing(host.stream(texts(*["text"] * 2048, normalize=False))) as events:
        async for event in events:
            if isinstance(event, Encoded):
                found.append((event.index, np.frombuffer(event.vector, "<f4")[0]))
                most = max(most, engine.memory_info().rss)
    await host.stop()
    assert sorted(found) == [(index, index) for index in range(2048)]
    assert host.metrics.prompt_tokens == 2049 * TOKENS
    assert most - before < MOST_BYTES


@pytest.mark.matrix
@pytest.mark.slow
async def test_a_pass_that_computes_for_long_is_no_hang() -> None:
    policy = HostPolicy(stall_seconds=25)
    assert policy.stall_seconds < BUSY_SECONDS
    host = host_of(BUSY, policy)
    assert len((await encode(host, texts("one", normalize=False))).encoded) == 1
    assert host.status().restarts == 0
    change_policy(policy, stall_seconds=2)
    with pytest.raises(EngineUnavailable, match="hung"):
        await encode(host, texts("one"))
    await asyncio.sleep(0)
    await host.stop()
