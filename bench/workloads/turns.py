"""Long conversations that take turns, and whether a server still knows their earlier turns.

A conversation begins with seventeen turns that the client brings along; turn 18 is computed
cold, 19 and 20 follow, one question at a time, all conversations in a circle. First eight of
them interleave; then eight new ones join, which makes sixteen, more than any server has slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from statistics import median

from bench.contestants.client import Client
from bench.contestants.servers import LLAMA_SERVER, OURS, STORED
from bench.inputs.prompts import Messages, ask, words
from bench.plan import Plan, Scale
from bench.report.samples import Sample

GROUP = 8
QUESTION, ANSWER = 60, 30
"""Words of a question and of an answer: with the template about 100 tokens per turn."""
LAST_TURNS = 3


class Conversation:
    """A client's memory of one conversation: the server gets all of it every time.

    A server that stores conversations gets all of it once, and from then on only the question.
    """

    def __init__(self, seed: str, scale: Scale) -> None:
        self._seed = seed
        self._answer = scale.turn_answer
        self._messages: Messages = []
        self._kept: str | None = None
        for number in range(scale.early_turns):
            self._say("user", words(f"{seed} question {number}", QUESTION))
            self._say("assistant", words(f"{seed} answer {number}", ANSWER))

    async def turn(self, client: Client) -> float:
        """Ask the next question and keep the answer; seconds to its first token."""
        self._say("user", words(f"{self._seed} {len(self._messages)}", QUESTION))
        unsent = self._messages[-1:] if self._kept else self._messages
        reply = await client.ask(unsent, self._answer, conversation=self._kept)
        self._kept = reply.conversation
        self._say("assistant", reply.text)
        return reply.ttft

    def _say(self, role: str, content: str) -> None:
        self._messages.append({"role": role, "content": content})


def run(plan: Plan) -> Iterator[Sample]:
    """Seven others interleave, then fifteen; one round, for it has eight samples in it."""
    for server in plan.rivals(OURS, STORED, LLAMA_SERVER):
        with server.serving(plan.shape, plan.threads) as client:
            for figure, value in asyncio.run(_measure(client, plan.scale)):
                yield Sample(figure, server.name, 0, value)


async def _measure(client: Client, scale: Scale) -> list[tuple[str, float]]:
    await client.ask(ask("warm", QUESTION), 4)
    old = [Conversation(f"old {number}", scale) for number in range(GROUP)]
    new = [Conversation(f"new {number}", scale) for number in range(GROUP)]
    first = await _circles(client, old, [])
    second = await _circles(client, new, old)
    return [*_figures("turns.7", first), *_figures("turns.15", second)]


async def _circles(
    client: Client, measured: list[Conversation], others: list[Conversation]
) -> list[list[float]]:
    """Times to the first token, circle by circle, of the measured conversations."""
    circles = []
    for _ in range(LAST_TURNS):
        circles.append([await one.turn(client) for one in measured])
        for one in others:
            await one.turn(client)
    return circles


def _figures(name: str, circles: list[list[float]]) -> list[tuple[str, float]]:
    cold, warm = median(circles[0]), circles[-1]
    return [
        (f"{name}.cold", cold * 1000),
        (f"{name}.last", median(warm) * 1000),
        (f"{name}.worst", max(warm) / cold),
        (f"{name}.ratio", median(warm) / cold),
    ]
