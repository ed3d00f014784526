"""Very large requests: their memory is bounded, and a pass that takes minutes is no hang."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import psutil
import pytest

from app.provider.engine import EngineLimits, EngineSpec, format_of
from app.provider.errors import EngineUnavailable
from app.provider.pool.hardware import resident_bytes
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Encoded
from tests.encoders.minilm import copy_folder
from tests.provider.asking import change_policy
from tests.provider.encoder_asking import card_of, encode, texts
from tests.provider.long_inputs.engine import BUSY, BUSY_SECONDS, TOKENS
from tests.provider.real_models import MINILM, MINILM_ONNX, file_of_package, real_model

MOST_BYTES = 128 * 2**20
"""Tokens of all texts at once would take five times as much."""

KEPT_BYTES = 64 * 2**20
"""How much freed memory ONNX's encoder lets the C library keep, which it does or does not."""


def host_of(path: str, policy: HostPolicy, engine: str = "long_inputs") -> EngineHost:
    return EngineHost(EngineSpec(f"tests.provider.{engine}", path, EngineLimits(threads=1)), policy)


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
@pytest.mark.engine("onnx")
async def test_memory_of_a_real_model_is_what_was_predicted(tmp_path: Path) -> None:
    """MiniLM in int8: its embeddings become float32, its matrices are arranged anew.

    What is measured is what it holds: the same, to a megabyte, each time. The prediction has in it
    what a pass takes, and as much freed memory as may be kept.
    """
    folder = copy_folder(real_model(MINILM), tmp_path / "minilm", weights=False)
    (folder / "model.onnx").symlink_to(file_of_package(*MINILM_ONNX))
    host = host_of(str(folder), HostPolicy(), "trimmed_onnx")
    mixed = ["word " * (7 * count % 300) for count in range(64)]
    await asyncio.gather(*(encode(host, texts(*mixed, truncate=True)) for _ in range(4)))
    pid = host.status().pid
    assert pid
    held = resident_bytes(pid)
    await host.stop()
    need = format_of("onnx").need(card_of("onnx", folder), EngineLimits())
    assert held < need.total < held + need.compute + KEPT_BYTES


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
