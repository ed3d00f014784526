"""What a model in vLLM is expected to take, and how much it is told to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.provider.card import ModelCard, Shape
from app.provider.engine import EngineLimits, VllmOptions
from app.provider.memory import GpuPolicy
from app.provider.pool.sizing import LEAST_KV_BYTES, SizeEstimate, Sizing

GB = 2**30
CARD = ModelCard(
    "m",
    "hf",
    "vllm",
    Path("m"),
    size_bytes=8 * GB,
    context_length=4096,
    parameters=16 * GB,
    quantization="AWQ 4-bit",
    shape=Shape(layers=32),
)
LIMITS = EngineLimits(kv_cache_bytes=0, threads=1)
ACTIVATIONS = 3 * GB // 2


def estimate(policy: GpuPolicy | None, limits: EngineLimits = LIMITS) -> SizeEstimate:
    return Sizing(limits, 2, 512 * GB, policy).estimate(CARD, [])


def test_it_takes_what_is_left_of_the_gpu() -> None:
    found = estimate(GpuPolicy(available=24 * GB))
    assert found.gpu == 24 * GB
    assert found.limits.gpu_share == pytest.approx(0.92)
    assert (found.limits.gpu_layers, found.limits.offload_bytes) == (-1, 0)
    assert found.ram == 4.25 * GB


def test_a_share_of_the_gpu_is_passed_on() -> None:
    limits = estimate(GpuPolicy(available=24 * GB, share=0.5)).limits
    assert limits.gpu_share == pytest.approx(0.5)


def test_with_a_number_for_keys_and_values_it_takes_no_more() -> None:
    found = estimate(GpuPolicy(available=24 * GB), EngineLimits(kv_cache_bytes=2 * GB, threads=1))
    assert found.gpu == 8 * GB + 2 * GB + ACTIVATIONS
    assert (found.limits.gpu_share, found.limits.kv_cache_bytes) == (0, 2 * GB)


def test_weights_that_do_not_fit_stay_in_ram() -> None:
    found = estimate(GpuPolicy(available=6 * GB))
    limits = found.limits
    assert 0 < limits.gpu_layers < 32
    assert limits.kv_cache_bytes == LEAST_KV_BYTES
    on_gpu = 8 * GB - limits.offload_bytes + LEAST_KV_BYTES + ACTIVATIONS
    assert on_gpu == pytest.approx(found.gpu, abs=GB // 100)
    assert found.ram == pytest.approx(4.25 * GB + limits.offload_bytes, abs=GB // 100)


def test_a_threshold_splits_it() -> None:
    limits = estimate(GpuPolicy(available=24 * GB, threshold=5 * GB)).limits
    assert limits.offload_bytes > 3 * GB


def test_one_that_may_not_be_split_stays_in_ram() -> None:
    found = estimate(GpuPolicy(available=6 * GB, split=False))
    assert (found.gpu, found.limits.gpu_layers, found.limits.gpu_share) == (0, 0, 0)


def test_without_a_gpu_all_is_in_ram() -> None:
    found = estimate(None)
    assert (found.gpu, found.limits.gpu_layers, found.limits.gpu_share) == (0, 0, 0)
    assert found.ram > 8 * GB + LEAST_KV_BYTES


def test_each_gpu_has_a_process() -> None:
    two = EngineLimits(kv_cache_bytes=GB, threads=1, vllm=VllmOptions(tensor_parallel_size=2))
    found = estimate(GpuPolicy(available=48 * GB), two)
    assert found.gpu == 8 * GB + GB + 2 * ACTIVATIONS
    assert found.ram == 7.25 * GB
