"""Asks a model for answers with random constraints, and checks every one that has ended."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from app.chat.answer import parse_answer
from app.provider.errors import ProviderError, UnsupportedConstraint
from app.provider.runtime.host import EngineHost
from app.provider.types import (
    Constraint,
    Message,
    Prompt,
    Sampling,
    Started,
    Tool,
    ToolCallDelta,
    ToolChoice,
)
from tests.provider.asking import Reply, collect
from tests.structured.schemas import Schema, random_schema, random_tools

AT_ONCE = 8
QUESTION = (Message.of("user", "Answer with whatever comes to your mind."),)


@dataclass
class Tally:
    """How answers ended: ``valid``, ``invalid``, ``cut``, ``refused`` or ``failed``."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # until an answer has started

    def __str__(self) -> str:
        ends, count = self.ends, sum(self.ends.values())
        ended = count - ends["cut"] - ends["refused"]
        late = sorted(self.seconds)[int(len(self.seconds) * 0.95)] if self.seconds else 0.0
        return (
            f"{count} answers: {ends['valid'] / max(1, ended):.2%} of those that ended are valid, "
            f"{ends['cut'] / max(1, count):.1%} cut, {ends['refused']} refused, "
            f"{ends['invalid'] + ends['failed']} wrong; started in {late * 1000:.0f} ms (p95)"
        )


def sampling(seed: int, temperature: float, max_tokens: int) -> Sampling:
    """Nothing but the temperature tames the draw."""
    return Sampling(
        temperature=temperature, top_k=0, top_p=1.0, min_p=0.0, seed=seed, max_tokens=max_tokens
    )


async def ask_schemas(
    host: EngineHost, seeds: Sequence[int], temperature: float = 1.5, max_tokens: int = 600
) -> Tally:
    """Ask for an answer to a random schema for each seed."""

    async def ask(seed: int) -> tuple[str, str, float]:
        schema = random_schema(random.Random(seed))
        constraint = Constraint("json_schema", json.dumps(schema))
        prompt = Prompt(QUESTION, sampling(seed, temperature, max_tokens), constraint=constraint)
        return await _judged(host, prompt, lambda reply: _matches(schema, reply.text))

    return await _all(ask, seeds)


async def ask_tools(
    host: EngineHost, seeds: Sequence[int], temperature: float = 1.5, max_tokens: int = 600
) -> Tally:
    """Ask for calls of random tools for each seed: any, a named one, or as the model likes."""

    async def ask(seed: int) -> tuple[str, str, float]:
        dice = random.Random(seed)
        tools = random_tools(dice)
        name = dice.choice(["", "", tools[0].name])
        choice = ToolChoice("required", name, parallel=not name)
        prompt = Prompt(
            QUESTION, sampling(seed, temperature, max_tokens), tools=tools, tool_choice=choice
        )
        return await _judged(host, prompt, lambda reply: _calls_match(tools, name, reply))

    return await _all(ask, seeds)


async def _all(
    ask: Callable[[int], Awaitable[tuple[str, str, float]]], seeds: Sequence[int]
) -> Tally:
    tally, room = Tally(), asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> None:
        async with room:
            end, text, seconds = await ask(seed)
        tally.ends[end] += 1
        if seconds:
            tally.seconds.append(seconds)
        if end in {"invalid", "failed"}:
            tally.wrong.append(f"seed {seed}: {text}")

    await asyncio.gather(*map(one, seeds))
    return tally


async def _judged(
    host: EngineHost, prompt: Prompt, matches: Callable[[Reply], bool]
) -> tuple[str, str, float]:
    begun, started = time.perf_counter(), 0.0

    async def noting() -> Any:
        nonlocal started
        async for event in parse_answer(host.stream(prompt), prompt):
            if isinstance(event, Started):
                started = time.perf_counter() - begun
            yield event

    try:
        reply = await collect(noting())
    except UnsupportedConstraint as refusal:
        return "refused", str(refusal), 0.0
    except ProviderError as error:
        return "failed", str(error), 0.0
    if reply.end.reason == "length":
        return "cut", "", started
    return ("valid" if matches(reply) else "invalid"), repr(reply.events)[:2000], started


def _matches(schema: Schema, text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(value)


def _calls_match(tools: Sequence[Tool], name: str, reply: Reply) -> bool:
    calls: list[list[str]] = []
    for event in reply.events:
        if isinstance(event, ToolCallDelta):
            if event.index == len(calls):
                calls.append(["", ""])
            calls[event.index][0] += event.name
            calls[event.index][1] += event.arguments
    schemas = {tool.name: json.loads(tool.parameters) for tool in tools}
    named = all(called == name or not name for called, _ in calls)
    fit = all(_matches(schemas[called], arguments) for called, arguments in calls)
    return (
        bool(calls)
        and named
        and fit
        and not reply.text.strip()
        and reply.end.reason == "tool_calls"
    )
