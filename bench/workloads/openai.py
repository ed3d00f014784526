"""OpenAI's dialect: tokens per second of ``/v1/chat/completions``, free and with a JSON Schema.

Also what compiling a schema costs, and how many streams hold that hardly say anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.contestants.client import Client, Dialect
from bench.contestants.servers import LLAMA_SERVER, OPENAI, SLOTS
from bench.inputs.prompts import Messages
from bench.models.chat_model import ChatModel
from bench.plan import Plan, Scale
from bench.report.samples import Sample
from bench.workloads.streams import rate

QUESTION = 8
ANSWERS = (1, 1, SLOTS)
SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "number": {"type": "integer"}},
        "required": ["name", "number"],
        "additionalProperties": False,
    },
    "minItems": 50,
}
"""Answers are cut before they can end, so that all have the same number of tokens."""


def run(plan: Plan) -> Iterator[Sample]:
    """Each model on each server: one answer twice, then eight; free, then with the schema."""
    for model in plan.chat_models():
        for number in range(plan.scale.rounds):
            for server in plan.rivals(OPENAI, LLAMA_SERVER):
                with server.serving(model.path, plan.threads) as client:
                    found = asyncio.run(_measure(client, model, plan.scale, server.name))
                    for figure, value in found:
                        yield Sample(model.figure(figure), server.name, number, value)


async def _measure(
    client: Client, model: ChatModel, scale: Scale, name: str
) -> list[tuple[str, float]]:
    await client.ask(model.ask("warm", QUESTION), 4)
    free = await _rates(client, model, "openai", scale.answer)
    if name != OPENAI:  # a peer's grammar may hold text back for many tokens
        return free
    constrained = replace(client, dialect=with_schema(client.dialect))
    await constrained.ask(model.ask("warm", QUESTION), scale.answer)
    bound = await _rates(constrained, model, "openai.schema", scale.answer)
    ratios = [
        (f"{figure}.ratio", value / unbound)
        for (figure, value), (_, unbound) in zip(bound, free, strict=True)
    ]
    return [*free, *bound, *ratios]


async def _rates(
    client: Client, model: ChatModel, figure: str, answer: int
) -> list[tuple[str, float]]:
    found = []
    for number, count in enumerate(ANSWERS):
        questions = [model.ask(f"{figure} {number} {lane}", QUESTION) for lane in range(count)]
        found.append((f"{figure}.{count}", await rate(client, questions, answer)))
    return found


def with_schema(dialect: Dialect) -> Dialect:
    """The dialect, asking for answers that match the schema."""
    schema = {"name": "people", "strict": True, "schema": SCHEMA}
    form = {"response_format": {"type": "json_schema", "json_schema": schema}}

    def body(messages: Messages, max_tokens: int) -> dict[str, object]:
        return dialect.body(messages, max_tokens) | form

    return replace(dialect, body=body)
