"""Messages between the API process and an engine process: a 4-byte length, then MessagePack.

A model file can take an engine process over, so the host trusts no bytes of it: a frame is bounded
before memory is taken for it, and only the values of these classes are made of it. Whatever else
comes is a ProtocolViolation, which ends that engine process alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import msgspec
from msgspec.msgpack import Decoder

from app.provider.engine import EngineInfo, EngineSpec
from app.provider.errors import ProviderError
from app.provider.runtime import frames
from app.provider.runtime.failures import Failure, describe, error_of
from app.provider.types import Event, Job, Loaded, Prompt, Size, Tokens, Value

LONGEST_FRAME = 16 * 2**20
"""Bytes of a message of an engine process; the longest are reports of many vectors."""


# ---------------------------------------------------------------- host → engine


class Load(Value, frozen=True):
    """Load this model. The first message."""

    spec: EngineSpec


class Submit(Value, frozen=True):
    """Do this job."""

    job: int
    task: Job


class Count(Value, frozen=True):
    """Count the tokens of this prompt; the answer is a Size."""

    job: int
    prompt: Prompt


class Tokenize(Value, frozen=True):
    """Tokenise this prompt; the answer is a Tokens.

    A raw text gets the tokens of every beginning only if ``special``.
    """

    job: int
    prompt: Prompt
    special: bool = True


class Ping(Value, frozen=True):
    """Answer with Loaded as soon as the model is loaded."""

    job: int


class Cancel(Value, frozen=True):
    """Stop this job."""

    job: int


class Threads(Value, frozen=True):
    """Use so many CPU threads."""

    threads: int


Request = Submit | Count | Tokenize | Ping | Cancel | Threads
ToEngine = Load | Request

# ---------------------------------------------------------------- engine → host


class Loading(Value, frozen=True):
    """Progress of loading, in percent."""

    percent: int


class Ready(Value, frozen=True):
    """The model is loaded."""

    info: EngineInfo


class Refused(Value, frozen=True):
    """The model cannot be loaded; the process ends."""

    failure: Failure


Reply = Size | Tokens | Loaded
"""What a request that is no job is answered with."""


class Report(Value, frozen=True):
    """The outcomes of one step, each with its job. An empty one shows that the engine works."""

    outcomes: list[tuple[int, Event | Reply | Failure]]


FromEngine = Loading | Ready | Refused | Report
Outcome = Event | Reply | ProviderError
Outcomes = list[tuple[int, Outcome]]
Received = Loading | Ready | ProviderError | Outcomes
"""What the host gets to see of them: an error alone is that of a refused model."""

_to_engine: Decoder[ToEngine] = Decoder(ToEngine)
_from_engine: Decoder[FromEngine] = Decoder(FromEngine)


def report(outcomes: Iterable[tuple[int, Outcome]]) -> Report:
    """Make the message of some outcomes."""
    plain = [
        (job, describe(one) if isinstance(one, ProviderError) else one) for job, one in outcomes
    ]
    return Report(plain)


def encode(message: ToEngine | FromEngine) -> bytes:
    """Frame one message."""
    return frames.encode(message)


async def read(reader: asyncio.StreamReader) -> Received:
    """Read the next message of an engine process.

    Raises asyncio.IncompleteReadError at the end, and ProtocolViolation.
    """
    body = await frames.read(reader, LONGEST_FRAME)
    try:
        return _received(_from_engine.decode(body))
    except msgspec.DecodeError as error:
        raise frames.ProtocolViolation(str(error)) from error


def _received(message: FromEngine) -> Received:
    match message:
        case Refused(failure=failure):
            return error_of(failure)
        case Report(outcomes=outcomes):
            return [
                (job, error_of(one) if isinstance(one, Failure) else one) for job, one in outcomes
            ]
        case _:
            return message


def receive(sock: socket.socket) -> ToEngine:
    """Read the next message on the engine's side; raises EOFError when the host has ended."""
    return _to_engine.decode(frames.receive(sock))


async def read_request(reader: asyncio.StreamReader) -> ToEngine:
    """Read the next message on the engine's side; raises asyncio.IncompleteReadError at the end."""
    return _to_engine.decode(await frames.read(reader))
