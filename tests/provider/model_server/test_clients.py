"""Clients that break rules, read slowly or are strangers: the others notice nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from app.model_server.config import ServerConfig
from app.provider.errors import UnsupportedInput
from app.provider.model_server import link, outgoing
from app.provider.model_server.endpoint import Endpoint
from app.provider.model_server.outgoing import OutgoingEvents
from app.provider.model_server.protocol import (
    PROTOCOL,
    Call,
    Hello,
    Measure,
    Rejected,
    Report,
    Submit,
    Tokenize,
    Welcome,
    answer_decoder,
    packed,
)
from app.provider.model_server.session import MOST_JOBS
from app.provider.runtime import frames
from app.provider.runtime.failures import Failure
from app.provider.runtime.status import HostPolicy
from app.provider.types import Delta, End, Progress, Prompt, RawText, Usage
from tests.provider.asking import collect, prompt
from tests.provider.model_server.processes import (
    ECHO,
    GUARD_SECONDS,
    RawClient,
    connected,
    signal_engine,
    the_server,
    until_requests,
)

NOBODY = 65534
MANY_WORDS = Prompt((), raw=RawText("word " * 300_000))


async def test_another_protocol_is_refused_in_a_sentence(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        client = await RawClient.open(config, hello=False)
        client.send(Hello(PROTOCOL + 1, "9.9", "raw"))
        answer = await client.read()
        assert isinstance(answer, Rejected)
        assert f"protocol {PROTOCOL}" in answer.reason
        assert "9.9" in answer.reason
        assert await client.is_cut_off()
        client.close()
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x00\x00\x02\xc1\xc1",
        frames.LENGTH.pack(2**32 - 1) + b"too long",
        frames.encode(["Submit", 1]),
        frames.encode(["Nothing"]),
        frames.encode(Hello(PROTOCOL, "", "again")),
        frames.encode(["Submit", "x" * 100, 1, 2]),
        frames.framed(b"\x91" * 100_000),
    ],
    ids=["garbage", "long", "short", "unknown", "hello", "types", "deep"],
)
async def test_what_is_no_message_ends_that_client_alone(config: ServerConfig, sent: bytes) -> None:
    async with connected(config) as runtime:
        client = await RawClient.open(config)
        assert isinstance(await client.read(), Welcome)
        client.writer.write(sent)
        assert await client.is_cut_off()
        client.close()
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"


async def test_a_request_that_is_too_long_fails_alone(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        await signal_engine(runtime, signal.SIGSTOP)
        beside = asyncio.create_task(collect(runtime.host.stream(ECHO, prompt("hello"))))
        await until_requests(runtime, 1)
        monkeypatch.setattr(link, "LONGEST_REQUEST", 2**20)
        with pytest.raises(UnsupportedInput, match="longer than the model server reads: 1 MB"):
            await collect(runtime.host.stream(ECHO, prompt("x" * 2**20)))
        await signal_engine(runtime, signal.SIGCONT)
        assert (await beside).text == "hello"


async def test_calls_that_make_no_sense_get_an_error(config: ServerConfig) -> None:
    async with connected(config):
        client = await RawClient.open(config)
        assert isinstance(await client.read(), Welcome)
        client.send(Call(1, "no_such_method", packed(())))
        client.send(Call(2, "plan", packed(("not", "a plan"))))
        outcomes: list[tuple[int, object]] = []
        while len(outcomes) < 2:
            message = await client.read()
            assert isinstance(message, Report)
            outcomes += message.outcomes
        assert [(job, type(outcome)) for job, outcome in outcomes] == [(1, Failure), (2, Failure)]
        client.close()


async def test_a_number_that_is_used_twice_ends_the_client(config: ServerConfig) -> None:
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        client = await RawClient.open(config)
        for _ in range(2):
            client.send(Submit(1, ECHO, prompt("word " * 1000)))
        assert await client.is_cut_off()
        client.close()
        await until_requests(runtime, 0)


async def test_the_requests_of_one_client_are_bounded(config: ServerConfig) -> None:
    pool = replace(config.pool, policy=HostPolicy(max_waiting=2 * MOST_JOBS))
    config = replace(config, pool=pool)
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        await signal_engine(runtime, signal.SIGSTOP)
        client = await RawClient.open(config)
        assert isinstance(await client.read(), Welcome)
        for job in range(MOST_JOBS + 1):
            client.send(Measure(job, ECHO, prompt("hello")))
        answer = await client.read()
        assert isinstance(answer, Report)
        (refused,) = answer.outcomes
        assert refused[0] == MOST_JOBS
        assert isinstance(refused[1], Failure)
        assert refused[1].kind == "EngineBusy"
        await signal_engine(runtime, signal.SIGCONT)
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"
        client.close()
        await until_requests(runtime, 0)


@pytest.mark.matrix
async def test_a_client_that_does_not_read_is_cut_off_and_slows_nobody(
    config: ServerConfig,
) -> None:
    """What is kept for it is bounded, then its requests are cancelled."""
    async with connected(config) as runtime:
        await collect(runtime.host.stream(ECHO, prompt("hello")))
        slow = await RawClient.open(config)
        assert isinstance(await slow.read(), Welcome)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for job in range(40):
            slow.send(Tokenize(job, ECHO, MANY_WORDS, False))
        await slow.writer.drain()
        assert (await collect(runtime.host.stream(ECHO, prompt("not slowed")))).text
        assert the_server().memory_info().rss < 600 * 2**20
        await until_requests(runtime, 0)
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await slow.is_cut_off()
        slow.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child calls the system only
async def test_a_stranger_is_refused(config: ServerConfig, runtime_folder: Path) -> None:
    """The folder keeps strangers out; where somebody has opened it, the server does."""
    async with connected(config) as runtime:
        path = Endpoint(config.name).path
        assert await asyncio.to_thread(_ask_as_nobody, path) == "forbidden"
        for folder in (runtime_folder, path.parent):
            folder.chmod(0o711)
        path.chmod(0o666)
        assert await asyncio.to_thread(_ask_as_nobody, path) == "cut off"
        assert (await collect(runtime.host.stream(ECHO, prompt("hello")))).text == "hello"


def _ask_as_nobody(path: Path) -> str:
    """What a process of another user meets at the socket."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writer, _meet(path))
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as found:
        return found.read().decode()


def _meet(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(GUARD_SECONDS)
        try:
            sock.connect(os.fspath(path))
        except PermissionError:
            return b"forbidden"
        try:
            sock.sendall(frames.encode(Hello(PROTOCOL, "", "nobody")))
            return b"let in" if sock.recv(1) else b"cut off"
        except ConnectionError:
            return b"cut off"


# ---------------------------------------------------------------- what is kept for a slow client


class Client:
    """Takes frames as a connection does."""

    def __init__(self) -> None:
        self.outcomes: list[object] = []
        self.overflowed = False
        self.outgoing = OutgoingEvents(self._send, self._overflow)

    def _send(self, frame: bytes) -> None:
        message = answer_decoder.decode(frame[frames.LENGTH.size :])
        assert isinstance(message, Report)
        self.outcomes += message.outcomes

    def _overflow(self) -> None:
        self.overflowed = True


async def test_what_a_slow_client_missed_is_joined() -> None:
    client = Client()
    client.outgoing.set_writable(False)
    for place in range(3, 0, -1):
        client.outgoing.add(2, Progress("queued", place))
    for word in ("one ", "two ", "three"):
        client.outgoing.add(1, Delta(word))
    client.outgoing.add(1, End("stop", Usage(1, 3, 0)))
    await asyncio.sleep(0)
    assert client.outcomes == []
    client.outgoing.set_writable(True)
    assert client.outcomes == [
        (2, Progress("queued", 1)),
        (1, Delta("one two three")),
        (1, End("stop", Usage(1, 3, 0))),
    ]


async def test_progress_alone_never_cuts_a_client_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MOST_HELD", 2000)
    client = Client()
    client.outgoing.set_writable(False)
    for place in range(1000):
        client.outgoing.add(1, Progress("prefill", place))
    assert not client.overflowed
    for _ in range(1000):
        client.outgoing.add(1, Delta("a word "))
    assert client.overflowed
