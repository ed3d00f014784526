"""Engines that die, hang, or are stopped: what every one keeps of its requests, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from app.provider.errors import EngineUnavailable
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from tests.provider.asking import (
    ask,
    change_policy,
    host_of,
    prompt,
    signal_engine,
    until_idle,
)
from tests.provider.conftest import ENGINES_OF_CONTRACT, contract_host
from tests.provider.scripted import CHATML, CONTROL, make
from tests.provider.test_contract import LONG, QUESTION
from tests.selection import matrix


@pytest.fixture(params=ENGINES_OF_CONTRACT)
async def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineHost]:
    """A process of its own, which a test may end."""
    host = contract_host(request.param, tmp_path, request)
    yield host
    await host.stop()


on_two_engines_daily = pytest.mark.parametrize(
    "mortal",
    ["echo", "gguf", "upstream", *matrix("onnx", "onnx-paged", "mlx", "pytorch")],
    indirect=True,
)
"""What the host does whatever its engine; starting some of them takes seconds."""


@on_two_engines_daily
async def test_cancel_while_loading(mortal: EngineHost) -> None:
    events = mortal.stream(prompt(QUESTION))
    asking = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await events.aclose()
    await until_idle(mortal)
    assert (await ask(mortal, QUESTION)).text


@on_two_engines_daily
async def test_a_killed_engine_fails_its_requests_and_comes_back(mortal: EngineHost) -> None:
    expected = (await ask(mortal, QUESTION)).text
    signal_engine(mortal, signal.SIGSTOP)
    running = [asyncio.create_task(ask(mortal, LONG)) for _ in range(3)]
    await asyncio.sleep(0.02)
    signal_engine(mortal, signal.SIGKILL)
    for error in await asyncio.gather(*running, return_exceptions=True):
        assert isinstance(error, EngineUnavailable)
        assert "signal 9" in str(error)
    assert (await ask(mortal, QUESTION)).text == expected
    assert mortal.status().restarts == 1


async def test_an_engine_killed_in_mid_answer(tmp_path: Path) -> None:
    talks = tmp_path / "talks.gguf"
    make(talks, CHATML, ["y", "y"], CONTROL, eos="<|im_end|>", ctx=2**16)  # for ever
    host = host_of("gguf", path=talks, kv_cache_bytes=64 * 2**20)
    running = asyncio.create_task(ask(host, QUESTION, max_tokens=2**15))
    while not host.status().active:
        await asyncio.sleep(0.01)
    signal_engine(host, signal.SIGKILL)
    with pytest.raises(EngineUnavailable):
        await running
    assert (await ask(host, QUESTION)).text
    await host.stop()


async def test_a_hanging_engine_is_killed_and_comes_back() -> None:
    policy = HostPolicy()
    host = host_of("echo", policy)
    await ask(host, QUESTION)
    pid = host.status().pid
    signal_engine(host, signal.SIGSTOP)
    change_policy(policy, stall_seconds=0.5)
    with pytest.raises(EngineUnavailable, match="hung"):
        await ask(host, QUESTION)
    change_policy(policy, stall_seconds=120.0)
    assert (await ask(host, QUESTION)).text
    assert host.status().pid != pid
    await host.stop()


@on_two_engines_daily
async def test_stop_ends_the_process_and_the_next_request_starts_another(
    mortal: EngineHost,
) -> None:
    await ask(mortal, QUESTION)
    pid = mortal.status().pid
    assert pid
    await mortal.stop()
    assert mortal.status().state == "unloaded"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await ask(mortal, QUESTION)).text


@on_two_engines_daily
async def test_stop_fails_what_is_running(mortal: EngineHost) -> None:
    await ask(mortal, QUESTION)
    signal_engine(mortal, signal.SIGSTOP)
    running = asyncio.create_task(ask(mortal, LONG))
    await asyncio.sleep(0.02)
    await mortal.stop()
    with pytest.raises(EngineUnavailable):
        await running


ORPHAN = """
import asyncio, sys
from tests.provider.asking import ask, host_of
async def main():
    host = host_of("echo")
    await ask(host, "hello")
    print(host.status().pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_an_engine_does_not_outlive_a_killed_api_process() -> None:
    command = [sys.executable, "-c", ORPHAN]
    api = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert api.stdout
    engine = int(api.stdout.readline())
    api.kill()
    api.wait()
    api.stdout.close()
    async with asyncio.timeout(60):
        while psutil.pid_exists(engine) and psutil.Process(engine).status() != "zombie":
            await asyncio.sleep(0.05)
