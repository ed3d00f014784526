"""Long conversations that take turns, and whether a server still knows their earlier turns.

A conversation begins with turns that the client brings along; the next one is computed cold, and
a last one follows when all conversations have had theirs. First eight of them interleave; then
eight new ones join, which makes sixteen, more than any server has slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from bench.contestants.client import Client
from bench.contestants.servers import BEFORE, DEFAULTS, LLAMA_SERVER, OURS, STORED
from bench.inputs.prompts import Messages
from bench.models.chat_model import ChatModel
from bench.plan import Plan, Scale
from bench.report.samples import Sample

GROUP = 8
QUESTION, ANSWER = 24, 24
"""Words of a question and of an answer: with the template about 60 tokens per turn."""


class Conversation:
    """A client's memory of one conversation: the server gets all of it every time.

    A server that stores conversations gets all of it once, and from then on only the question.
    """

    def __init__(self, seed: str, model: ChatModel, scale: Scale) -> None:
        self._seed = seed
        self._model = model
        self._answer = scale.turn_answer
        self._messages: Messages = []
        self._kept: str | None = None
        for number in range(scale.early_turns):
            self._say("user", model.text(f"{seed} question {number}", QUESTION))
            self._say("assistant", model.text(f"{seed} answer {number}", ANSWER))

    async def turn(self, client: Client) -> float:
        """Ask the next question and keep the answer; seconds to its first token."""
        seed = f"{self._seed} {len(self._messages)}"
        self._say("user", self._model.text(seed, QUESTION))
        unsent = self._messages[-1:] if self._kept else self._messages
        reply = await client.ask(unsent, self._answer, conversation=self._kept)
        self._kept = reply.conversation
        self._say("assistant", reply.text)
        return reply.ttft

    def _say(self, role: str, content: str) -> None:
        self._messages.append({"role": role, "content": content})


def run(plan: Plan) -> Iterator[Sample]:
    """Seven others interleave, then fifteen."""
    for model in plan.chat_models():
        for number in range(plan.scale.rounds):
            for server in plan.rivals(OURS, BEFORE, *_more(model), LLAMA_SERVER):
                with server.serving(model.path, plan.threads) as client:
                    for figure, value in asyncio.run(_measure(client, model, plan.scale)):
                        yield Sample(model.figure(figure), server.name, number, value)


def _more(model: ChatModel) -> tuple[str, ...]:
    """Our server in other ways, on the real model only: the other one takes as long again."""
    return (DEFAULTS, STORED) if model.prefix else ()


async def _measure(client: Client, model: ChatModel, scale: Scale) -> list[tuple[str, float]]:
    await client.ask(model.ask("warm", QUESTION), 4)
    old = [Conversation(f"old {number}", model, scale) for number in range(GROUP)]
    new = [Conversation(f"new {number}", model, scale) for number in range(GROUP)]
    first = await _circles(client, old, [])
    second = await _circles(client, new, old)
    return [*_figures("turns.7", first), *_figures("turns.15", second)]


async def _circles(
    client: Client, measured: list[Conversation], others: list[Conversation]
) -> tuple[list[float], list[float]]:
    """Times to the first token of the measured conversations: cold, and after all the others."""
    cold = [await one.turn(client) for one in measured]
    for one in others:
        await one.turn(client)
    return cold, [await one.turn(client) for one in measured]


def _figures(name: str, times: tuple[list[float], list[float]]) -> list[tuple[str, float]]:
    cold, warm = median(times[0]), times[1]
    return [
        (f"{name}.cold", cold * 1000),
        (f"{name}.last", median(warm) * 1000),
        (f"{name}.worst", max(warm) / cold),
        (f"{name}.ratio", median(warm) / cold),
    ]
