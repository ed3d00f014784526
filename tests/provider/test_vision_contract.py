"""What every engine keeps that can be shown pictures. An engine joins with a line in ``SEERS``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from app.provider.engine import missing_library
from app.provider.errors import ContextOverflow, UnsupportedInput
from app.provider.runtime.host import EngineHost
from app.provider.types import Delta, ImagePart, Message, Progress, Prompt, Sampling, TextPart
from tests.provider.asking import MODELS, STARTERS, Reply, ask, collect, host_of, size
from tests.provider.pictures import from_bytes, noise, part, shown
from tests.selection import matrix
from training.vision_starter.conversations import Case, held_out_cases
from training.vision_starter.drawing import scene
from training.vision_starter.questions import ask as question_about


@dataclass(frozen=True)
class Seer:
    """An engine with a model trained on the drawings.

    ``tokens`` are those of a picture of 196 by 84, ``upright`` of one of 84 by 196, ``square`` of
    one of 196 by 196; ``around`` six of these in a question there are fewer than that many more.
    """

    engine: str
    model: Path
    tokens: int = 21
    upright: int = 21
    square: int = 49
    around: int = 100


SEERS = {
    "gguf": Seer("gguf", MODELS / "starter-vision.gguf"),
    "mlx": Seer("mlx", MODELS / "starter-vision-mlx"),
    "pytorch": Seer("pytorch", MODELS / "starter-vision-hf"),
    "hyperclovax": Seer("pytorch", MODELS / "starter-vision-hyperclovax", 33, 37, 51, 700),
}
"""By name of the test; a model that is not there, or whose library is not, is skipped."""

ACCURACY = 0.9
"""Of ``CASES`` drawings with questions that training never saw; the whole evaluation asks more."""
CASES = 60

pytestmark = pytest.mark.asyncio(loop_scope="module")

one_daily = pytest.mark.parametrize(
    "seer", ["gguf", *matrix("mlx", "pytorch", "hyperclovax")], indirect=True
)
"""What starts a process for itself, or takes long."""

WHAT = "What is in the picture?"
WIDE = noise(196, 84, 1)


@pytest.fixture(scope="module", params=["gguf", "mlx", *matrix("pytorch", "hyperclovax")])
def seer(request: pytest.FixtureRequest) -> Seer:
    seer = SEERS[request.param]
    if library := missing_library(seer.engine):
        pytest.skip(f"{seer.engine}: {library} is not installed")
    if not seer.model.exists():
        pytest.skip(f"{seer.model.name} is not there")
    return seer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(seer: Seer) -> AsyncIterator[EngineHost]:
    """One process for all tests: some engines take seconds to start."""
    host = host_of(seer.engine, path=seer.model)
    yield host
    await host.stop()


def drawing(seed: int) -> tuple[ImagePart, str]:
    """A random drawing, and what is in it."""
    made = scene(Random(seed))
    question = question_about(made, Random(0), kind="describe", language="en")
    return part(made.draw()), question.answer


async def see(
    host: EngineHost, *turns: str | ImagePart | tuple[str | ImagePart, ...], owner: str = ""
) -> Reply:
    return await collect(host.stream(shown(*turns, owner=owner, max_tokens=60)))


# ---------------------------------------------------------------- it sees


@one_daily
async def test_it_answers_about_pictures_that_training_never_saw(host: EngineHost) -> None:
    cases = list(held_out_cases(CASES, seed=1))
    replies = await asyncio.gather(*(collect(host.stream(prompt_of(case))) for case in cases[:8]))
    for start in range(8, CASES, 4):
        some = (collect(host.stream(prompt_of(case))) for case in cases[start : start + 4])
        replies += await asyncio.gather(*some)
    right = sum(reply.text == case.answer for reply, case in zip(replies, cases, strict=True))
    assert right >= ACCURACY * CASES


def prompt_of(case: Case) -> Prompt:
    """A held-out conversation as an engine is given it."""
    messages = [Message.of("system", case.system)] if case.system is not None else []
    for turn in case.turns:
        pictures = tuple(part(one.draw()) for one in turn.scenes)
        text = (TextPart(turn.asked.question),)
        parts: tuple[TextPart | ImagePart, ...] = (*pictures, *text)
        if not turn.pictures_first:
            parts = (*text, *pictures)
        messages.append(Message("user", parts))
        if turn is not case.turns[-1]:
            messages.append(Message.of("assistant", turn.asked.answer))
    return Prompt(tuple(messages), Sampling(temperature=0.0, max_tokens=60))


async def test_pictures_of_requests_at_once_do_not_mix(host: EngineHost) -> None:
    drawings = [drawing(seed) for seed in range(12)]
    alone = [(await see(host, (picture, WHAT))).text for picture, _ in drawings]
    await host.stop()  # nothing of them is known
    together = await asyncio.gather(*(see(host, (picture, WHAT)) for picture, _ in drawings))
    assert [reply.text for reply in together] == alone
    assert len(set(alone)) >= 6


async def test_a_picture_of_an_earlier_turn_is_still_there(host: EngineHost) -> None:
    answers = []
    for seed in range(6):
        picture, _ = drawing(seed)
        first = await see(host, (picture, WHAT))
        answers.append((await see(host, (picture, WHAT), first.text, WHAT)).text == first.text)
    assert sum(answers) >= 5


async def test_two_pictures_of_a_prompt_are_told_apart(host: EngineHost) -> None:
    differ = 0
    for seed in range(6):
        (one, _), (other, _) = drawing(2 * seed), drawing(2 * seed + 1)
        forth, back = [await see(host, (*pair, WHAT)) for pair in ((one, other), (other, one))]
        assert [seen.sha256 for seen in forth.started.images] == [one.sha256, other.sha256]
        assert [seen.sha256 for seen in back.started.images] == [other.sha256, one.sha256]
        differ += forth.text != back.text
    assert differ >= 3


# ---------------------------------------------------------------- what is told


async def test_what_is_seen_is_told(host: EngineHost, seer: Seer) -> None:
    reply = await see(host, (WIDE, "and", noise(84, 196), WHAT))
    one, other = reply.started.images
    assert (one.sha256, one.width, one.height, one.tokens) == (WIDE.sha256, 196, 84, seer.tokens)
    assert (other.width, other.height, other.tokens) == (84, 196, seer.upright)
    assert (await ask(host, "Hello")).started.images == ()


async def test_pictures_count_as_tokens(host: EngineHost, seer: Seer) -> None:
    reply = await see(host, (WIDE, WHAT))
    without = await see(host, WHAT)
    usage = reply.end.usage
    assert usage.prompt_tokens >= without.end.usage.prompt_tokens + seer.tokens
    assert usage.prompt_tokens == reply.started.prompt_tokens
    assert (await size(host, shown((WIDE, WHAT)))).tokens == usage.prompt_tokens


@one_daily
async def test_a_large_picture_becomes_no_more_tokens_than_is_allowed(seer: Seer) -> None:
    host = host_of(seer.engine, path=seer.model, image_tokens=16)
    reply = await see(host, (noise(640, 480), WHAT))
    assert reply.started.images[0].tokens <= 16
    await host.stop()


async def test_the_same_picture_again_is_not_computed_again(host: EngineHost, seer: Seer) -> None:
    asked = (WIDE, " ".join([WHAT] * 12))  # engines do not keep what is read in no time
    first = await see(host, asked, owner="again")
    again = await see(host, asked, first.text, "And now?", owner="again")
    assert first.started.cached_tokens < seer.tokens
    assert again.started.cached_tokens >= first.started.prompt_tokens
    assert [seen.tokens for seen in again.started.images] == [seer.tokens]


async def test_another_owner_shares_nothing(host: EngineHost) -> None:
    first = await see(host, (WIDE, WHAT))
    other = await see(host, (WIDE, WHAT), owner="other")
    assert other.started.cached_tokens == 0
    assert other.text == first.text


# ---------------------------------------------------------------- beside others


async def test_texts_beside_pictures_are_answered_as_without(host: EngineHost) -> None:
    questions = [f"What is {number}, please?" for number in range(6)]
    alone = [(await ask(host, question)).text for question in questions]
    looking = [see(host, (noise(300, 300, seed), WHAT)) for seed in range(4)]
    replies = await asyncio.gather(*looking, *(ask(host, question) for question in questions))
    assert [reply.text for reply in replies[4:]] == alone


async def test_a_cancelled_picture_leaves_the_engine_well(host: EngineHost) -> None:
    picture, _ = drawing(3)
    expected = (await see(host, (picture, WHAT))).text
    for seed in range(12):  # more than there are slots
        async with aclosing(host.stream(shown((noise(640, 640, seed), WHAT)))) as events:
            async for event in events:
                if seed % 2 or not isinstance(event, Progress):
                    break
    async with asyncio.timeout(60):
        while host.status().active or host.status().waiting:
            await asyncio.sleep(0.01)
    assert (await see(host, (picture, WHAT))).text == expected
    assert host.status().restarts == 0


async def test_a_picture_can_be_cancelled_in_mid_answer(host: EngineHost) -> None:
    picture, _ = drawing(4)
    async with aclosing(host.stream(shown((picture, WHAT)))) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    assert (await see(host, (picture, WHAT))).text


# ---------------------------------------------------------------- what is refused


@one_daily
async def test_pictures_that_do_not_fit_are_refused_with_the_numbers(seer: Seer) -> None:
    host = host_of(seer.engine, path=seer.model, context_length=256)
    pictures = [noise(196, 196, seed) for seed in range(6)]
    with pytest.raises(ContextOverflow) as caught:
        await see(host, (*pictures, WHAT))
    assert caught.value.limit == 256
    assert 0 < caught.value.needed - 6 * seer.square < seer.around
    measured = await size(host, shown((*pictures, WHAT)))
    assert (measured.tokens, measured.limit) == (caught.value.needed, 256)
    await host.stop()


@pytest.mark.parametrize("content", [b"", b"no picture", WIDE.content[:500]])
async def test_a_broken_picture_is_refused_and_nobody_dies(
    host: EngineHost, content: bytes
) -> None:
    beside = asyncio.create_task(ask(host, "Hello"))
    with pytest.raises(UnsupportedInput):
        await see(host, (from_bytes(content, 196, 84), WHAT))
    assert (await beside).text
    assert (await see(host, (WIDE, WHAT))).text
    assert host.status().restarts == 0


@pytest.mark.parametrize("engine", ["gguf", "onnx", *matrix("mlx", "pytorch")])
async def test_a_model_for_text_refuses_pictures(engine: str) -> None:
    if library := missing_library(engine):
        pytest.skip(f"{engine}: {library} is not installed")
    host = host_of(engine, path=STARTERS[engine])
    with pytest.raises(UnsupportedInput, match="pictures"):
        await see(host, (WIDE, WHAT))
    assert (await ask(host, "Hello")).text
    await host.stop()
