"""What an engine's code raises while it works costs its job, or ends the process: no hanging."""

from __future__ import annotations

import asyncio
import pickle
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from app.provider.engine import EngineLimits, EngineSpec
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    ModelNotLoadable,
    ProviderError,
    UnsupportedInput,
)
from app.provider.runtime import messages
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import (
    Delta,
    Encoded,
    End,
    Loaded,
    Progress,
    SeenImage,
    Size,
    Started,
    ThinkingDelta,
    Token,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from tests.provider.asking import ask, prompt, size
from tests.provider.failing.engine import SEND
from tests.selection import matrix


@pytest.fixture
async def host() -> AsyncIterator[EngineHost]:
    """An engine that hangs is restarted soon, which the tests would see."""
    spec = EngineSpec("tests.provider.failing", "", EngineLimits())
    host = EngineHost(spec, HostPolicy(stall_seconds=10))
    yield host
    await host.stop()


@pytest.mark.parametrize("text", ["error", "panic"])
async def test_an_error_while_preparing_costs_its_own_request_only(
    host: EngineHost, text: str
) -> None:
    with pytest.raises(ProviderError, match="could not prepare"):
        await size(host, prompt(text))
    with pytest.raises(ProviderError, match="could not prepare"):
        await ask(host, text)
    assert (await size(host, prompt("one two"))).tokens == 2
    assert (await ask(host, "one two")).text == "one two"
    assert host.status().restarts == 0


async def test_a_refusal_in_the_words_of_a_file_can_be_stored_and_sent(host: EngineHost) -> None:
    for asking in (size(host, prompt("refusal")), ask(host, "refusal")):
        with pytest.raises(UnsupportedInput) as refused:
            await asking
        assert str(refused.value) == "a\ufffdb \ufffd c"


async def test_an_error_in_a_step_ends_the_process_and_says_so(host: EngineHost) -> None:
    with pytest.raises(EngineUnavailable, match="exit code 1"):
        await ask(host, "step")
    assert (await ask(host, "one two")).text == "one two"
    assert host.status().restarts == 1


class Exploding:
    """Pickled, a program that makes a file where it is read."""

    def __init__(self, made: Path) -> None:
        self._made = made

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._made,)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


HOSTILE = {
    "an unknown message": frame(msgspec.msgpack.encode(["Explode", 1])),
    "no message": frame(b"\xc1\xff\x00"),
    "an empty message": frame(b""),
    "a wrong type": frame(msgspec.msgpack.encode(["Report", [["one", ["Loaded"]]]])),
    "a wrong number": frame(msgspec.msgpack.encode(["Report", [[0, ["Size", -1, 10]]]])),
    "an unknown phase": frame(msgspec.msgpack.encode(["Report", [[0, ["Progress", "x", 1]]]])),
    "an unknown error": frame(
        msgspec.msgpack.encode(["Report", [[0, ["Failure", "SystemExit", ["bye"]]]]])
    ),
    "an error with other values": frame(
        msgspec.msgpack.encode(["Report", [[0, ["Failure", "ContextOverflow", ["a", "b"]]]]])
    ),
    "more slots than there are": frame(msgspec.msgpack.encode(["Ready", {"slots": 10**9}])),
    "a length of 4 GiB": b"\xff\xff\xff\xff" + b"x" * 64,
}


DAILY = (
    "an unknown message",
    "no message",
    "a wrong number",
    "an unknown error",
    "a length of 4 GiB",
)


@pytest.mark.parametrize(
    "sent",
    [matrix(one)[0] if name not in DAILY else one for name, one in HOSTILE.items()],
    ids=HOSTILE,
)
async def test_bytes_that_are_no_message_end_their_process_alone(
    host: EngineHost, sent: bytes
) -> None:
    await ask(host, "one")
    tracemalloc.start()
    with pytest.raises(EngineUnavailable):
        await ask(host, SEND + sent.hex())
    assert tracemalloc.get_traced_memory()[1] < messages.LONGEST_FRAME
    tracemalloc.stop()
    assert (await ask(host, "one two")).text == "one two"
    assert host.status().restarts == 1


async def test_a_pickled_program_is_not_run(host: EngineHost, tmp_path: Path) -> None:
    made = tmp_path / "made"
    program = pickle.dumps(Exploding(made))
    with pytest.raises(EngineUnavailable):
        await ask(host, SEND + frame(program).hex())
    assert not made.exists()
    pickle.loads(program)  # noqa: S301 - it would have worked
    assert made.exists()
    assert (await ask(host, "one two")).text == "one two"


EVENTS: list[messages.Outcome] = [
    Progress("prefill", 3, 10),
    Started(5, 2, (SeenImage("ab", 1, 2, 3),), 100),
    Delta("가", 2, (Token(7, b"\xea", -0.5, (TokenLogprob(8, b"x", -1.0),)),)),
    ThinkingDelta("hm"),
    ToolCallDelta(0, "call_1", "f", "{}"),
    Encoded(3, b"\0\0\x80\x3f"),
    End("tool_calls", Usage(1, 2, 0)),
    End("stop", Usage(1, 2, 0), stop_string="끝"),
    Size(3, 10),
    Loaded(),
    ProviderError("no"),
    UnsupportedInput("no"),
    ContextOverflow(12, 10),
    ModelNotLoadable("no", lasting=False),
    EngineBusy("full", 1.0),
    EngineUnavailable("gone", 2.5),
]


async def test_every_outcome_arrives_as_it_was_sent() -> None:
    reader = asyncio.StreamReader()
    sent = list(enumerate(EVENTS))
    reader.feed_data(messages.encode(messages.report(sent)))
    received = await messages.read(reader)
    assert isinstance(received, list)
    assert [(job, repr(one)) for job, one in received] == [(job, repr(one)) for job, one in sent]
