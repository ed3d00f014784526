"""Several clients of one model server, over a real socket, with a real process."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from app.model_server.config import ServerConfig
from app.provider.engine import EngineLimits
from app.provider.errors import (
    ContextOverflow,
    EngineUnavailable,
    ModelInUse,
    ModelNotFound,
    ModelNotLoadable,
)
from app.provider.model_server.counters import summed
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.pool import ModelPool
from app.provider.types import (
    Encode,
    Encoded,
    Loaded,
    ModelRef,
    Prompt,
    RawText,
    Size,
    TextPart,
    Tokens,
)
from tests.provider.asking import Reply, collect, prompt
from tests.provider.model_server import client_process
from tests.provider.model_server.processes import (
    ECHO,
    connected,
    have_ended,
    server_config,
    signal_engine,
    status_of,
    the_server,
    until,
    until_requests,
)
from tests.suspending import suspend

ENCODER = ModelRef("echo-embed", "")


async def test_two_clients_share_one_engine(config: ServerConfig) -> None:
    async with connected(config) as one, connected(config) as other:
        replies = [await collect(each.host.stream(ECHO, prompt("a b c"))) for each in (one, other)]
        assert [reply.text for reply in replies] == ["a b c", "a b c"]
        pids = {(await status_of(each)).pid for each in (one, other)}
        assert len(pids) == 1
        engines = [child.pid for child in the_server().children()]
        assert pids == set(engines)
        metrics = (await other.host.measured()).metrics["echo"]
        assert metrics.requests == {("stop", ""): 2}


async def test_everything_of_a_model_host_works(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        host = runtime.host
        estimate, decision = await host.plan(ECHO, EngineLimits(threads=1))
        assert (estimate.ram > 0, decision) == (True, AdmissionDecision())
        assert [event async for event in host.load(ECHO)][-1] == Loaded()
        assert host.snapshot().statuses["echo"].state == "ready"
        await host.measured()
        await until(lambda: host.snapshot().ledger["echo"].measured > 2**20)
        assert [event async for event in host.measure(ECHO, prompt("a b"))] == [Size(2, 4096)]
        raw = Prompt((), raw=RawText("a b"))
        (tokens,) = [one async for one in host.tokenize(ECHO, raw) if isinstance(one, Tokens)]
        assert tokens.pieces == (b"a ", b"b")
        await host.preload(ENCODER)
        job = Encode((TextPart("a"), TextPart("b")))
        events = [event async for event in host.encode(ENCODER, job)]
        assert [one.index for one in events if isinstance(one, Encoded)] == [0, 1]
        assert host.snapshot().limits.threads == 1
        assert await host.unload("echo")
        assert not await host.unload("echo")
        assert "echo" not in host.snapshot().statuses
        assert host.problem() is None


async def test_errors_arrive_as_what_they_are(config: ServerConfig) -> None:
    broken = config.pool.models_dir / "broken.gguf"
    broken.write_bytes(b"GGUF")
    pool = ModelPool(config.pool)
    card = pool.card("broken")
    async with connected(config) as runtime:
        host = runtime.host
        with pytest.raises(ContextOverflow) as overflow:
            await collect(host.stream(ECHO, prompt("word " * 5000)))
        assert (overflow.value.needed, overflow.value.limit) == (5000, 4096)
        with pytest.raises(ModelNotFound, match="letters"):
            await collect(host.stream(ModelRef("letters", ""), prompt("a")))
        with pytest.raises(ModelNotLoadable):
            await collect(host.stream(card.ref, prompt("a")))
        await signal_engine(runtime, signal.SIGSTOP)
        asked = asyncio.create_task(collect(host.stream(ECHO, prompt("a"))))
        await until_requests(runtime, 1)
        with pytest.raises(ModelInUse):
            await host.unload("echo")
        await signal_engine(runtime, signal.SIGCONT)
        await asked
    await pool.close()


async def test_requests_and_cancellations_arrive_in_order(tmp_path: Path) -> None:
    """The echo gives each new word the next number; a cancelled request never overtakes itself."""
    config, cancelled = server_config(tmp_path, slots=1), range(0, 1000, 3)

    async def number_of(word: str) -> int:
        raw = Prompt((), raw=RawText(word))
        found = [one async for one in runtime.host.tokenize(ECHO, raw) if isinstance(one, Tokens)]
        return found[0].tokens[0]

    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("first of all")))
        await signal_engine(runtime, signal.SIGSTOP)
        numbers, answers = [], []
        for number in range(1000):
            answers.append(
                asyncio.create_task(collect(runtime.host.stream(ECHO, prompt(f"no {number}"))))
            )
            numbers.append(asyncio.create_task(number_of(f"word{number}")))
            await asyncio.sleep(0)  # it is sent
            if number in cancelled:
                answers[-1].cancel()
        await signal_engine(runtime, signal.SIGCONT)
        assert await asyncio.gather(*numbers) == list(range(1000))
        ends = await asyncio.gather(*answers, return_exceptions=True)
        texts = {at: end.text for at, end in enumerate(ends) if isinstance(end, Reply)}
        assert texts == {at: f"no {at}" for at in range(1000) if at not in cancelled}
        await until_requests(runtime, 0)
        requests = (await runtime.host.measured()).metrics["echo"].requests
        assert requests["stop", ""] == 1 + 1000 - len(cancelled)


async def test_a_closed_generator_cancels_its_request(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        await signal_engine(runtime, signal.SIGSTOP)
        async with aclosing(runtime.host.stream(ECHO, prompt("hello"))) as events:
            waiting = asyncio.ensure_future(anext(events))
            await until_requests(runtime, 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await until_requests(runtime, 0)
        await signal_engine(runtime, signal.SIGCONT)
        requests = (await runtime.host.measured()).metrics["echo"].requests
        assert requests == {("stop", ""): 1, ("cancelled", ""): 1}


async def test_a_client_that_is_killed_leaves_nothing_behind(
    config: ServerConfig, tmp_path: Path
) -> None:
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        await signal_engine(runtime, signal.SIGSTOP)
        asked = asyncio.create_task(collect(runtime.host.stream(ECHO, prompt("still here"))))
        killed = await asyncio.to_thread(client_process.start, config, tmp_path, 5)
        await until_requests(runtime, 6)
        killed.kill()
        killed.wait()
        await until_requests(runtime, 1)
        await signal_engine(runtime, signal.SIGCONT)
        assert (await asked).text == "still here"


async def test_an_engine_that_is_killed_fails_the_requests_of_all(config: ServerConfig) -> None:
    async with connected(config) as one, connected(config) as other:
        await collect(one.host.stream(ECHO, prompt("hello")))
        await signal_engine(one, signal.SIGSTOP)
        asked = [
            asyncio.create_task(collect(each.host.stream(ECHO, prompt("hello"))))
            for each in (one, other)
        ]
        await until_requests(one, 2)
        await signal_engine(one, signal.SIGKILL)
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, EngineUnavailable)
        for each in (one, other):
            assert (await collect(each.host.stream(ECHO, prompt("again")))).text == "again"
        assert (await status_of(other)).restarts == 1


async def test_a_server_that_is_killed_fails_all_requests_and_comes_back(
    config: ServerConfig,
) -> None:
    async with connected(config) as one, connected(config) as other:
        await collect(one.host.stream(ECHO, prompt("hello")))
        engine = psutil.Process(await signal_engine(one, signal.SIGSTOP))
        asked = [
            asyncio.create_task(collect(each.host.stream(ECHO, prompt("hello"))))
            for each in (one, other)
        ]
        await until_requests(one, 2)
        killed = the_server()
        killed.kill()
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, EngineUnavailable)
            assert error.retry_after > 0
        engine.resume()  # it sees that its socket is closed
        for each in (one, other):
            assert (await collect(each.host.stream(ECHO, prompt("again")))).text == "again"
            assert each.host.problem() is None
        assert the_server().pid != killed.pid
        await until(lambda: have_ended(engine))


async def test_a_server_that_stands_still_is_given_up(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First health says so, then requests fail, then another server takes its place."""
    monkeypatch.setattr("app.provider.model_server.client._WATCH_SECONDS", 0.2)
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        suspend(the_server())
        asked = asyncio.create_task(collect(runtime.host.stream(ECHO, prompt("hello"))))
        assert (await runtime.host.measured()).statuses["echo"].state == "ready"
        assert "has not answered" in (runtime.host.problem() or "")
        with monkeypatch.context() as patch:
            patch.setattr("app.provider.model_server.link.SILENCE_SECONDS", 1.0)
            with pytest.raises(EngineUnavailable):
                await asked
        assert "echo" not in runtime.host.snapshot().statuses
        the_server().kill()
        assert (await collect(runtime.host.stream(ECHO, prompt("again")))).text == "again"
        assert runtime.host.problem() is None


async def test_requests_are_cancelled_while_there_is_no_connection(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        the_server().kill()
        await until(runtime.host.problem)
        asked = [
            asyncio.create_task(collect(runtime.host.stream(ECHO, prompt("hello"))))
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"
        assert (await runtime.host.measured()).metrics["echo"].requests == {("stop", ""): 1}


async def test_counters_survive_their_client_and_their_server(config: ServerConfig) -> None:
    async with connected(config) as staying:
        async with connected(config) as leaving:
            await leaving.exchange({"requests": 5}, {"open": 2})
            totals = await staying.exchange({"requests": 1}, {"open": 1})
            assert sorted(one.counters["requests"] for one in totals.running) == [1, 5]
            assert totals.ended == {}
        while len((totals := await staying.exchange({"requests": 2}, {"open": 1})).running) > 1:
            pass
        assert totals.ended == {"requests": 5}
        the_server().kill()
        await until(staying.host.problem)
        totals = await staying.exchange({"requests": 3}, {})
        sums = summed([totals.ended, *(one.counters for one in totals.running)])
        assert sums == {"requests": 8}


async def test_notices_reach_all_others(config: ServerConfig) -> None:
    heard: dict[str, list[str]] = {"one": [], "other": [], "third": []}
    async with connected(config) as one, connected(config) as other, connected(config) as third:
        for name, each in (("one", one), ("other", other), ("third", third)):
            each.listen("stop", heard[name].append)
        one.notify("stop", "call 7")
        one.notify("another topic", "call 8")
        await until(lambda: heard["other"] and heard["third"])
        assert heard == {"one": [], "other": ["call 7"], "third": ["call 7"]}
