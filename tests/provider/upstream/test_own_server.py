"""Another server of ours as the upstream: over TCP, over a unix socket, killed and back again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec import structs

from app.provider.errors import ContextOverflow, EngineUnavailable, UnsupportedInput
from app.provider.runtime.status import HostPolicy
from app.provider.types import Delta, End, RawText, Size
from tests.provider.asking import ask, collect, prompt, signal_engine, size, until_idle
from tests.provider.upstream.servers import Server, own_server, remote_host
from tests.provider.upstream.stub import Answering, stub_server

QUESTION = "How do I call API version one?"
LONG = prompt("a " * 400_000, max_tokens=None)
"""Its answer has not ended yet when something is killed at its first words."""
LARGE = {"context_length": 10**7, "default_max_tokens": 10**7, "max_request_bytes": 10**7}


@pytest.fixture(scope="module", params=["tcp", "unix"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("up")
    with own_server(folder, unix=request.param == "unix") as server:
        yield server


async def test_an_answer_is_streamed_with_its_usage(server: Server) -> None:
    host = remote_host(server.url, "echo", unix_socket=server.socket)
    reply = await ask(host, QUESTION)
    assert reply.text == QUESTION
    assert reply.end.reason == "stop"
    usage = reply.end.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_known) == (7, 7, True)
    assert reply.started.prompt_tokens == 7
    assert reply.started.context_length == 4096
    assert (await size(host, prompt(QUESTION))).tokens == 7
    await host.stop()


async def test_a_part_of_the_context_is_kept_where_the_server_counts(server: Server) -> None:
    host = remote_host(server.url, "echo", unix_socket=server.socket)
    asked = structs.replace(prompt(QUESTION, max_tokens=None), context_length=10)
    assert await size(host, asked) == Size(7, 10)
    reply = await collect(host.stream(asked))
    assert reply.started.context_length == 10
    assert (reply.end.reason, reply.end.usage.completion_tokens) == ("length", 3)
    with pytest.raises(ContextOverflow) as caught:
        await collect(host.stream(structs.replace(asked, context_length=7)))
    assert (caught.value.needed, caught.value.limit) == (8, 7)
    raw = structs.replace(asked, messages=(), raw=RawText("one two", suffix="three four"))
    assert await size(host, raw) == Size(7, 10), "three tokens stand for the gap"
    await host.stop()


async def test_a_part_of_the_context_is_refused_where_the_server_does_not_count() -> None:
    with stub_server({"silent": _silent}, owned_by="someone") as stub:
        host = remote_host(stub.url, "silent")
        with pytest.raises(UnsupportedInput, match="does not count tokens"):
            await collect(host.stream(structs.replace(prompt(QUESTION), context_length=10)))
        await host.stop()


async def _silent(it: Answering) -> None:
    raise AssertionError("nothing is asked")


async def test_hanging_up_ends_the_answer_there(server: Server) -> None:
    host = remote_host(server.url, "echo", unix_socket=server.socket)
    for _ in range(12):  # more than the other server has slots
        async with aclosing(host.stream(prompt("word " * 3000, max_tokens=None))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    break
    await until_idle(host)
    assert (await ask(host, QUESTION)).text == QUESTION
    await host.stop()


async def test_a_server_that_dies_is_told_and_one_that_is_back_answers(tmp_path: Path) -> None:
    with own_server(tmp_path, unix=True, **LARGE) as server:
        host = remote_host(server.url, "echo", unix_socket=server.socket)
        async with aclosing(host.stream(LONG)) as events:
            with pytest.raises(EngineUnavailable, match="The server other broke off"):
                async for event in events:
                    assert not isinstance(event, End)
                    if isinstance(event, Delta):
                        server.kill()
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await ask(host, QUESTION)
    (tmp_path / "listening").unlink()
    (tmp_path / "api.sock").unlink(missing_ok=True)
    with own_server(tmp_path, unix=True):
        assert (await ask(host, QUESTION)).text == QUESTION
    assert host.status().restarts == 0
    await host.stop()


async def test_a_killed_engine_hangs_up_there_and_comes_back() -> None:
    async def silent(it: Answering) -> None:
        it.start()
        it.piece({"content": "One "})
        await it.hang()

    with stub_server({"silent": silent}) as stub:
        host = remote_host(stub.url, "silent")
        with pytest.raises(EngineUnavailable, match="signal 9"):
            async with aclosing(host.stream(prompt(QUESTION))) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        signal_engine(host, signal.SIGKILL)
        (asked,) = stub.of("silent")
        assert await asyncio.to_thread(asked.hung_up.wait, 60)
        await until_idle(host)
        await host.stop()


@pytest.mark.matrix
async def test_a_server_that_is_silent_for_long_is_no_hang_of_the_engine() -> None:
    """The engine shows that it lives; its own bound ends the request."""

    async def never(it: Answering) -> None:
        await it.hang()

    with stub_server({"never": never}) as stub:
        policy = HostPolicy(stall_seconds=6.0)
        host = remote_host(stub.url, "never", policy, first_seconds=9.0)
        with pytest.raises(EngineUnavailable, match="did not answer within 9 s"):
            await ask(host, QUESTION)
        assert host.status().restarts == 0
        await host.stop()
