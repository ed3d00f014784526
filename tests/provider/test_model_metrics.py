"""What a model's metrics say, against what really happened to its requests."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import pytest

from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.errors import ContextOverflow, EngineBusy, EngineUnavailable, ModelNotLoadable
from app.provider.runtime.backoff import LONGEST_SECONDS, BackOff
from app.provider.runtime.host import EngineHost
from app.provider.runtime.metrics import BOUNDS, RECENT, Histogram, ModelMetrics
from app.provider.runtime.status import HostPolicy
from app.provider.types import Delta
from tests.provider.asking import ask, host_of, prompt, signal_engine, size, until_idle
from tests.provider.conftest import contract_host
from tests.provider.test_contract import LONG, QUESTION
from tests.selection import matrix


@pytest.mark.parametrize("engine", ["echo", "gguf", "onnx", "upstream", *matrix("mlx", "pytorch")])
async def test_tokens_are_those_of_the_usage(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    host = contract_host(engine, tmp_path, request)
    replies = [await ask(host, QUESTION), await ask(host, LONG, max_tokens=7)]
    metrics = host.metrics
    usages = [reply.end.usage for reply in replies]
    assert metrics.prompt_tokens == sum(usage.prompt_tokens for usage in usages)
    assert metrics.cached_tokens == sum(usage.cached_tokens for usage in usages)
    assert metrics.completion_tokens == sum(usage.completion_tokens for usage in usages)
    assert metrics.requests == Counter((reply.end.reason, None) for reply in replies)
    assert metrics.decode_seconds > 0
    await host.stop()


async def test_a_cached_prompt_shows_in_the_hit_rate(gguf: EngineHost) -> None:
    assert gguf.metrics.cache_hit_rate is None
    await ask(gguf, QUESTION)
    assert gguf.metrics.cache_hit_rate == 0
    again = await ask(gguf, QUESTION)
    usage = again.end.usage
    assert usage.cached_tokens
    assert gguf.metrics.cache_hit_rate == usage.cached_tokens / (2 * usage.prompt_tokens)


async def test_a_cancelled_answer_counts_the_text_that_came() -> None:
    host = host_of("echo", context_length=10**7, default_max_tokens=10**7)
    read = 0
    async with aclosing(host.stream(prompt(LONG * 2000, max_tokens=None))) as events:
        async for event in events:
            read += isinstance(event, Delta)
            if read == 3:
                break
    await until_idle(host)
    assert host.metrics.requests == {("cancelled", None): 1}
    assert 3 <= host.metrics.completion_tokens < 200 * 2000
    assert host.metrics.prompt_tokens == 200 * 2000
    await host.stop()


async def test_one_that_is_cancelled_while_it_waits_counts_no_tokens() -> None:
    host = host_of("echo")
    asking = asyncio.create_task(ask(host, QUESTION))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert host.metrics.requests == {("cancelled", None): 1}
    assert host.metrics.completion_tokens == host.metrics.prompt_tokens == 0
    await host.stop()


async def test_what_is_refused_is_no_failure() -> None:
    host = host_of("echo", HostPolicy(max_waiting=0), slots=1)
    with pytest.raises(ContextOverflow):
        await ask(host, "word " * 5000)
    await asyncio.gather(*(ask(host, LONG) for _ in range(3)), return_exceptions=True)
    assert host.metrics.requests == {
        ("refused", ContextOverflow): 1,
        ("refused", EngineBusy): 2,
        ("length", None): 1,
    }
    await host.stop()


async def test_a_crash_counts_as_failure_and_restart() -> None:
    host = host_of("echo")
    await ask(host, QUESTION)
    signal_engine(host, signal.SIGSTOP)
    running = [asyncio.create_task(ask(host, LONG)) for _ in range(3)]
    await asyncio.sleep(0.02)
    signal_engine(host, signal.SIGKILL)
    await asyncio.gather(*running, return_exceptions=True)
    await ask(host, QUESTION)
    assert host.metrics.requests["failed", EngineUnavailable] == 3
    assert (host.metrics.restarts, host.metrics.loads) == (1, 2)
    assert host.metrics.load_seconds > 0
    await host.stop()


async def test_a_model_that_cannot_be_loaded_fails_its_requests(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    host = host_of("gguf", path=broken)
    with pytest.raises(ModelNotLoadable):
        await ask(host, QUESTION)
    assert host.metrics.requests == {("failed", ModelNotLoadable): 1}
    assert (host.metrics.loads, host.metrics.restarts) == (0, 0)
    await host.stop()


async def test_counting_is_not_asking() -> None:
    host = host_of("echo")
    await size(host, prompt(QUESTION))
    assert not host.metrics.requests
    assert host.metrics.prompt_tokens == 0
    await host.stop()


async def test_the_first_token_waits_for_loading_and_for_others() -> None:
    host = host_of("echo")
    await ask(host, QUESTION)
    loading = host.metrics.time_to_first_token
    assert loading
    assert loading > host.metrics.load_seconds
    for _ in range(RECENT):
        await ask(host, QUESTION)
    recent = host.metrics.time_to_first_token
    assert recent
    assert recent < loading
    assert host.metrics.first_token_seconds.cumulative()[-1][1] == RECENT + 1
    await host.stop()


async def test_meters_outlive_the_host() -> None:
    metrics = ModelMetrics()
    for _ in range(2):
        spec = EngineSpec(ENGINES["echo"], "", EngineLimits())
        host = EngineHost(spec, HostPolicy(), metrics)
        await ask(host, QUESTION)
        await host.stop()
    assert metrics.requests == {("stop", None): 2}
    assert metrics.loads == 2


def test_speed_is_that_of_recent_answers_without_their_first_token() -> None:
    metrics = ModelMetrics()
    assert metrics.tokens_per_second is None
    metrics.ended("stop", None, tokens=1, seconds=0.0)
    assert metrics.tokens_per_second is None
    metrics.ended("stop", None, tokens=101, seconds=100.0)
    assert metrics.tokens_per_second == 1.0
    for _ in range(RECENT):
        metrics.ended("stop", None, tokens=11, seconds=0.5)
    assert metrics.tokens_per_second == 20.0


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    assert histogram.cumulative() == [(0.1, 2), (1.0, 3), (float("inf"), 4)]
    assert histogram.sum == pytest.approx(7.65)
    assert list(BOUNDS) == sorted(BOUNDS)


def test_the_back_off_doubles_and_starts_anew_after_a_long_run() -> None:
    back_off = BackOff()
    assert back_off.left < 0
    assert [back_off.failed() for _ in range(4)] == [0.0, 0.5, 1.0, 2.0]
    assert 1.0 < back_off.left <= 2.0
    assert [back_off.failed() for _ in range(6)][-1] == LONGEST_SECONDS
    assert back_off.failed(ran_seconds=61.0) == 0.0
