"""What every engine keeps, whatever it runs on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing

import psutil
import pytest

from app.provider.errors import ContextOverflow, EngineBusy, EngineUnavailable
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import Delta, End, Started
from tests.provider.asking import ask, change_policy, host_of, prompt, size

QUESTION = "How do I call API version one?"
LONG = "one two three four five six seven eight nine ten " * 20


async def until_idle(host: EngineHost) -> None:
    """Wait until the host carries no request."""
    async with asyncio.timeout(60):
        while host.status().active or host.status().waiting:
            await asyncio.sleep(0.01)


async def test_a_stream_is_started_then_deltas_then_one_end(host: EngineHost) -> None:
    reply = await ask(host, QUESTION)
    chunks = [event for event in reply.events if isinstance(event, Started | Delta | End)]
    assert isinstance(chunks[0], Started)
    assert isinstance(chunks[-1], End)
    assert all(isinstance(chunk, Delta) for chunk in chunks[1:-1])
    assert reply.text.strip()
    assert reply.end.usage.prompt_tokens == reply.started.prompt_tokens > 0
    assert reply.end.usage.cached_tokens == reply.started.cached_tokens


async def test_the_same_question_gets_the_same_answer(host: EngineHost) -> None:
    first, second = [await ask(host, QUESTION) for _ in range(2)]
    assert first.text == second.text


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_max_tokens_is_exact(host: EngineHost, limit: int) -> None:
    reply = await ask(host, LONG, max_tokens=limit)
    assert reply.end.reason == "length"
    assert reply.end.usage.completion_tokens == limit


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(host: EngineHost) -> None:
    whole = (await ask(host, QUESTION)).text
    stop = whole[len(whole) // 2 :][:6]
    reply = await ask(host, QUESTION, stop=(stop, "never said"))
    assert reply.end.reason == "stop"
    assert reply.text == whole[: whole.index(stop)]


async def test_count_is_what_the_engine_reads(host: EngineHost) -> None:
    counted = await size(host, prompt(QUESTION, "An answer.", "Go on."))
    assert (
        counted.tokens == (await ask(host, QUESTION, "An answer.", "Go on.")).started.prompt_tokens
    )


async def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(host: EngineHost) -> None:
    with pytest.raises(ContextOverflow) as caught:
        await ask(host, "word " * 50_000)
    measured = await size(host, prompt("word " * 50_000))
    assert (measured.tokens, measured.limit) == (caught.value.needed, caught.value.limit)
    assert caught.value.needed > caught.value.limit > 0
    assert (await ask(host, QUESTION)).text


async def test_parallel_answers_equal_serial_ones(host: EngineHost) -> None:
    questions = [f"{QUESTION} Number {n}: what is {n * 7} in words, please?" for n in range(32)]
    serial = [(await ask(host, question)).text for question in questions]
    parallel = await asyncio.gather(*(ask(host, question) for question in questions))
    assert [reply.text for reply in parallel] == serial


async def test_waiting_requests_learn_their_place() -> None:
    host = host_of("echo", slots=1)
    replies = await asyncio.gather(*(ask(host, LONG * 15, max_tokens=3000) for _ in range(4)))
    await host.stop()
    places = [p.done for reply in replies for p in reply.progress if p.phase == "queued"]
    assert max(places) >= 1
    assert min(places) == 0


async def test_a_full_line_is_refused_at_once_and_nobody_else_suffers() -> None:
    host = host_of("echo", HostPolicy(max_waiting=2), slots=1)
    replies = await asyncio.gather(*(ask(host, LONG) for _ in range(6)), return_exceptions=True)
    await host.stop()
    refused = [reply for reply in replies if isinstance(reply, EngineBusy)]
    assert len(refused) == 3
    assert refused[0].retry_after > 0


async def test_cancel_while_loading(host: EngineHost) -> None:
    events = host.stream(prompt(QUESTION))
    asking = asyncio.create_task(anext(events))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await events.aclose()
    await until_idle(host)
    assert (await ask(host, QUESTION)).text


async def test_cancel_while_decoding_frees_the_slot(host: EngineHost) -> None:
    for _ in range(20):  # more than there are slots
        async with aclosing(host.stream(prompt(LONG, max_tokens=None))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    break
    await until_idle(host)
    assert (await ask(host, QUESTION)).text


async def test_cancel_while_queued(host: EngineHost) -> None:
    running = [asyncio.create_task(ask(host, LONG, max_tokens=300)) for _ in range(8)]
    queued = asyncio.create_task(ask(host, QUESTION))
    last = asyncio.create_task(ask(host, QUESTION))
    await asyncio.sleep(0.05)
    queued.cancel()
    assert (await last).text
    await asyncio.gather(*running)
    await until_idle(host)


def signal_engine(host: EngineHost, what: signal.Signals) -> None:
    """Send a signal to the engine process."""
    pid = host.status().pid
    assert pid
    os.kill(pid, what)


async def test_a_killed_engine_fails_its_requests_and_comes_back(host: EngineHost) -> None:
    expected = (await ask(host, QUESTION)).text
    signal_engine(host, signal.SIGSTOP)
    running = [asyncio.create_task(ask(host, LONG)) for _ in range(3)]
    await asyncio.sleep(0.02)
    signal_engine(host, signal.SIGKILL)
    for error in await asyncio.gather(*running, return_exceptions=True):
        assert isinstance(error, EngineUnavailable)
        assert "signal 9" in str(error)
    assert (await ask(host, QUESTION)).text == expected
    assert host.status().restarts == 1


async def test_an_engine_killed_in_mid_answer(gguf: EngineHost) -> None:
    with pytest.raises(EngineUnavailable):
        async with aclosing(gguf.stream(prompt(LONG, max_tokens=3000, stop=("\0",)))) as events:
            async for event in events:
                if isinstance(event, Started):
                    signal_engine(gguf, signal.SIGKILL)
    assert (await ask(gguf, QUESTION)).text


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


async def test_stop_ends_the_process_and_the_next_request_starts_another(host: EngineHost) -> None:
    await ask(host, QUESTION)
    pid = host.status().pid
    assert pid
    await host.stop()
    assert host.status().state == "unloaded"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (await ask(host, QUESTION)).text


async def test_stop_fails_what_is_running(host: EngineHost) -> None:
    await ask(host, QUESTION)
    signal_engine(host, signal.SIGSTOP)
    running = asyncio.create_task(ask(host, LONG))
    await asyncio.sleep(0.02)
    await host.stop()
    with pytest.raises(EngineUnavailable):
        await running


async def test_libraries_are_told_not_to_report_to_their_makers() -> None:
    host = host_of("echo")
    await ask(host, QUESTION)
    told = psutil.Process(host.status().pid).environ()
    await host.stop()
    assert (told["ORT_DISABLE_TELEMETRY"], told["HF_HUB_DISABLE_TELEMETRY"]) == ("1", "1")


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
