"""Pictures: the time to encode one, the time when it comes again, the share of right answers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.baselines.driver import driven
from bench.contestants.client import Client
from bench.contestants.servers import OURS
from bench.contestants.vision_servers import vision_client, with_vision
from bench.inputs.pictures import held_out, picture, question
from bench.inputs.prompts import Messages, ask, words
from bench.models import vision_catalogue
from bench.models.qwen2_vl import mmproj_of
from bench.models.vision_catalogue import KINDS, Kind
from bench.plan import Plan
from bench.report.samples import Sample
from bench.workloads.gap import gaps, together

QUESTION = 4
ANSWER = 4
STARTER_ANSWER = 48
SMALL = (84, 56)
"""Pixels of the picture that warms a server up."""

Figures = list[tuple[str, float]]


def run(plan: Plan) -> Iterator[Sample]:
    """Each engine on its generated model, beside its rivals; then the answers of the starter."""
    for engine, kind in KINDS.items():
        if model := vision_catalogue.shape(engine, plan.cache):
            yield from _encoded(kind, f"vision.{engine}", model, plan)
            yield from _asked(kind, f"vision.{engine}", model, plan)
    for engine in KINDS:
        if model := vision_catalogue.starter(engine):
            yield from _answered(engine, model, plan)


# ---------------------------------------------------------------- encoding alone


def _encoded(kind: Kind, figure: str, model: Path, plan: Plan) -> Iterator[Sample]:
    module, name = kind.baseline
    options = ["--mmproj", str(mmproj_of(model))] if model.suffix == ".gguf" else []
    with (
        tempfile.TemporaryDirectory() as folder,
        driven(module, model, plan.threads, *options) as measure,
    ):
        for number in (None, *_rounds(kind, plan)):  # the first one loads the library
            file = Path(folder, f"{number}.png")
            file.write_bytes(picture(f"raw {number}", kind.size))
            tokens, seconds = measure([str(file)], 0, 1)
            if tokens != kind.tokens:
                raise RuntimeError(f"{module}: {tokens} tokens of a picture, not {kind.tokens}")
            if number is not None:
                yield Sample(f"{figure}.encode", name, number, seconds * 1000)


def _rounds(kind: Kind, plan: Plan) -> list[int]:
    """The number of a round for each picture."""
    rounds = plan.scale.rounds
    pictures = max(1, rounds * plan.scale.pictures // kind.slower)
    return sorted(number % rounds for number in range(pictures))


# ---------------------------------------------------------------- first, next and other questions


def _asked(kind: Kind, figure: str, model: Path, plan: Plan) -> Iterator[Sample]:
    rounds = _rounds(kind, plan)
    for number in sorted(set(rounds)):
        for rival in plan.rivals(OURS, kind.server):
            with with_vision(rival, model).serving(model, plan.threads) as client:
                found = asyncio.run(_measure(client, kind, number, rounds.count(number)))
                if number == 0:
                    found += asyncio.run(_beside(client, kind))
                for part, value in found:
                    yield Sample(f"{figure}.{part}", rival.name, number, value)


async def _measure(client: Client, kind: Kind, number: int, pictures: int) -> Figures:
    """Every picture is a new one, and so are the words before it."""
    await client.ask(ask("warm", QUESTION), ANSWER)
    await vision_client(client).ask(question("warm", picture("warm", SMALL), QUESTION), ANSWER)
    found: Figures = []
    for which in range(pictures):
        found += await _one(client, kind, f"{number} {which}")
    return found


async def _one(client: Client, kind: Kind, seed: str) -> Figures:
    """Milliseconds to the first token of each question about one picture."""
    shows, shown = vision_client(client), picture(seed, kind.size)
    opening = question(seed, shown, QUESTION)
    first = await shows.ask(opening, ANSWER)
    later: Messages = [
        *opening,
        {"role": "assistant", "content": first.text},
        {"role": "user", "content": words(f"later {seed}", QUESTION)},
    ]
    follow = await shows.ask(later, ANSWER, conversation=first.conversation)
    again = await shows.ask(question(f"again {seed}", shown, QUESTION), ANSWER)
    text = await client.ask(ask(f"instead {seed}", 2 * QUESTION + kind.tokens), ANSWER)
    return [
        ("first", first.ttft * 1000),
        ("follow", follow.ttft * 1000),
        ("again", again.ttft * 1000),
        ("encode", (first.ttft - text.ttft) * 1000),
        ("ratio", follow.ttft / first.ttft),
    ]


async def _beside(client: Client, kind: Kind) -> Figures:
    """The gaps of a running stream of text while a picture comes in."""
    asked = question("meanwhile", picture("meanwhile", kind.size), QUESTION)
    stream, reply = await together(client, lambda: vision_client(client).ask(asked, 1))
    before, worst = gaps(stream, reply)
    return [("gap", worst * 1000), ("gap.ratio", worst / before)]


# ---------------------------------------------------------------- right answers


def _answered(engine: str, model: Path, plan: Plan) -> Iterator[Sample]:
    """The share of right answers in percent; a right one equals the expected text."""
    cases = held_out(plan.scale.cases, scaled=engine != "hyperclovax")
    for rival in plan.rivals(OURS, KINDS[engine].server):
        with with_vision(rival, model, starter=True).serving(model, plan.threads) as client:
            right = asyncio.run(_right(vision_client(client), cases))
            yield Sample(f"vision.{engine}.right", rival.name, 0, 100 * right / len(cases))


async def _right(client: Client, cases: list[tuple[Messages, str]]) -> int:
    replies = [await client.ask(asked, STARTER_ANSWER) for asked, _ in cases]
    return sum(one.text.strip() == answer for one, (_, answer) in zip(replies, cases, strict=True))
