"""Messages between API processes and the model server.

Values only, so that they may cross machines: a model is named by its id and the stamp of its files,
and never by a path. Requests and cancellations go through one connection, in order. A request that
is no stream is a ``Call`` of a method, so that other packages can add their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import Raw
from msgspec.msgpack import Decoder, Encoder

from app.provider.engine import EngineLimits
from app.provider.errors import ModelConflict, ModelInUse, ModelNotFound
from app.provider.pool.eviction import AdmissionDecision
from app.provider.pool.model_host import HostSnapshot
from app.provider.pool.sizing import SizeEstimate
from app.provider.runtime.failures import ENGINE_ERRORS, Failure, Kinds, Sentence
from app.provider.types import (
    Count,
    Event,
    Job,
    Loaded,
    ModelRef,
    Prompt,
    Size,
    Tokens,
    Value,
)

PROTOCOL = 1
"""Raised whenever a message changes its meaning or its fields."""

LONGEST_REQUEST = 512 * 2**20
"""Bytes of a message to the model server; the longest hold the images of a conversation."""
LONGEST_ANSWER = 256 * 2**20
"""Bytes of a message of the model server; the longest hold many vectors."""

HELLO_SECONDS = 30.0
"""How long either side waits for the first message of the other."""

A = TypeVar("A", bound="tuple[Any, ...]")
R = TypeVar("R")

# ---------------------------------------------------------------- client → model server


class Hello(Value, frozen=True):
    """The first message: the client's protocol and version, and an id that it keeps.

    Where there is an ``owner``, the server ends with its last owner. Later protocols may only add
    fields to this message.
    """

    protocol: int
    version: str
    client: str
    owner: bool = False


class Submit(Value, frozen=True):
    """Do this job; the answer is its events."""

    job: int
    model: ModelRef
    task: Job


class Measure(Value, frozen=True):
    """Count the tokens of this prompt; the answer is progress, then a Size."""

    job: int
    model: ModelRef
    prompt: Prompt


class Tokenize(Value, frozen=True):
    """Tokenise this prompt; the answer is progress, then Tokens."""

    job: int
    model: ModelRef
    prompt: Prompt
    special: bool


class Load(Value, frozen=True):
    """Load this model; the answer is progress, then Loaded.

    ``ttl`` is that of ``Prompt.ttl_seconds``.
    """

    job: int
    model: ModelRef
    ttl: float | None = None


class Call(Value, frozen=True):
    """Call a method; the answer is a Result."""

    job: int
    method: str
    arguments: Raw


class Cancel(Value, frozen=True):
    """Stop this job, whatever it is waiting for."""

    job: int


class Notice(Value, frozen=True):
    """Pass a text to every other client, at most once; there is no answer."""

    topic: str
    text: str


Request = Submit | Measure | Tokenize | Load | Call
FromClient = Request | Cancel | Notice

# ---------------------------------------------------------------- model server → client


class Welcome(Value, frozen=True):
    """The first answer; what the client asks from now on is done."""

    protocol: int
    version: str


class Rejected(Value, frozen=True):
    """The first answer to a client that the server does not understand."""

    reason: Sentence


class Result(Value, frozen=True):
    """What a method has returned."""

    content: Raw


Outcome = Event | Size | Tokens | Loaded | Result | Failure


class Report(Value, frozen=True):
    """Outcomes of jobs, each with the number that the client gave the job."""

    outcomes: list[tuple[Count, Outcome]]


class Publication(Value, frozen=True):
    """News of a topic of the server's own; only the newest counts."""

    topic: str
    content: Raw


FromServer = Welcome | Rejected | Report | Publication | Notice

hello_decoder: Decoder[Hello] = Decoder(Hello)
request_decoder: Decoder[FromClient] = Decoder(FromClient)
answer_decoder: Decoder[FromServer] = Decoder(FromServer)

_encoder = Encoder()


def packed(value: object) -> Raw:
    """A value as part of another message."""
    return Raw(_encoder.encode(value))


# ---------------------------------------------------------------- methods and topics


@dataclass(frozen=True, slots=True)
class Method(Generic[A, R]):
    """A method of the model server: its name, the tuple of its arguments, and what it returns."""

    name: str
    arguments: type[A]
    result: type[R]


@dataclass(frozen=True, slots=True)
class Topic(Generic[R]):
    """Something that the model server publishes."""

    name: str
    content: type[R]


PRELOAD = Method("preload", tuple[ModelRef, float | None], bool)
UNLOAD = Method("unload", tuple[str], bool)
PLAN = Method("plan", tuple[ModelRef, EngineLimits], tuple[SizeEstimate, AdmissionDecision])
MEASURED = Method("measured", tuple[()], HostSnapshot)

MODELS = Topic("models", HostSnapshot)

ERRORS: Kinds = {
    **ENGINE_ERRORS,
    ModelNotFound: tuple[Sentence],
    ModelConflict: tuple[Sentence],
    ModelInUse: tuple[Sentence, Count],
}
"""The errors of requests to models."""
