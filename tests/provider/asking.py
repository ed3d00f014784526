"""Asks a host or a pool, and keeps what came back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.provider.engine import ENGINES, EngineLimits, EngineSpec
from app.provider.runtime.host import EngineHost
from app.provider.runtime.status import HostPolicy
from app.provider.types import (
    Delta,
    End,
    Event,
    Message,
    Progress,
    Prompt,
    Sampling,
    Size,
    Started,
    Tokens,
)
from tests.suspending import send_signal

MODELS = Path(__file__).parents[2] / "models"
STARTER = MODELS / "starter.gguf"
STARTERS = {
    "echo": STARTER,
    "gguf": STARTER,
    "onnx": MODELS / "starter-onnx",
    "mlx": MODELS / "starter-mlx",
    "pytorch": MODELS / "starter-hf",
}
"""The starter as each engine reads it."""


@dataclass
class Reply:
    """The events of one stream, sorted by kind."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def started(self) -> Started:
        (started,) = [event for event in self.events if isinstance(event, Started)]
        return started

    @property
    def end(self) -> End:
        (end,) = [event for event in self.events if isinstance(event, End)]
        return end

    @property
    def progress(self) -> list[Progress]:
        return [event for event in self.events if isinstance(event, Progress)]


def host_of(
    engine: str, policy: HostPolicy | None = None, path: Path | None = None, **limits: Any
) -> EngineHost:
    """An engine host that is not started, on the starter unless told."""
    where = str(path or STARTERS[engine])
    spec = EngineSpec(ENGINES[engine], where, EngineLimits(**limits))
    return EngineHost(spec, policy or HostPolicy())


def change_policy(policy: HostPolicy, **seconds: float) -> None:
    """Change the policy of a host that runs: so a short time bounds nothing but what is tested."""
    for name, value in seconds.items():
        object.__setattr__(policy, name, value)


def prompt(*texts: str, system: str = "", owner: str = "", **sampling: Any) -> Prompt:
    """A prompt of alternating user and assistant texts, at temperature 0 unless told."""
    messages = [Message.of("system", system)] if system else []
    for index, text in enumerate(texts):
        messages.append(Message.of("assistant" if index % 2 else "user", text))
    options = {"temperature": 0.0, "max_tokens": 48} | sampling
    return Prompt(tuple(messages), Sampling(**options), owner)


async def collect(events: AsyncGenerator[Event, None]) -> Reply:
    """Read a stream to its end."""
    async with aclosing(events):
        return Reply([event async for event in events])


async def size(host: EngineHost, prompt: Prompt) -> Size:
    """How long the prompt is, and how long it may be."""
    (measured,) = [event async for event in host.measure(prompt) if isinstance(event, Size)]
    return measured


async def tokens_of(host: EngineHost, prompt: Prompt) -> Tokens:
    """The tokens of a prompt."""
    (made,) = [event async for event in host.tokenize(prompt) if isinstance(event, Tokens)]
    return made


async def ask(host: EngineHost, *texts: str, **options: Any) -> Reply:
    """Ask and wait for the whole answer."""
    return await collect(host.stream(prompt(*texts, **options)))


async def until_idle(host: EngineHost) -> None:
    """Wait until the host carries no request."""
    async with asyncio.timeout(60):
        while host.status().active or host.status().waiting:
            await asyncio.sleep(0.01)


def signal_engine(host: EngineHost, what: signal.Signals) -> None:
    """Send a signal to the engine process."""
    pid = host.status().pid
    assert pid
    send_signal(pid, what)
