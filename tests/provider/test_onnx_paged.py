"""onnxruntime-genai's dynamic engine behind our contract: paged models, as they run on GPUs.

There is no GPU here. A graph that stands in for the GPU's operator (``paged_model``) runs on a CPU.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from app.provider.engine import Engine, missing_library
from app.provider.errors import (
    EngineUnavailable,
    ModelNotLoadable,
    UnsupportedInput,
)
from app.provider.runtime.host import EngineHost
from app.provider.types import Delta, End
from tests.provider.asking import Reply, ask, host_of, prompt, size
from tests.provider.paged_asking import PROMPT, Spoken, admit, build
from tests.provider.paged_model import CONTEXT, PAGE, likeliest, write_paged

if library := missing_library("onnx"):
    pytest.skip(f"onnx: {library} is not installed", allow_module_level=True)
GENAI = pytest.importorskip("app.provider.engines.onnx.genai.library")

QUESTION = "How do I stream an answer?"
HOT = {"temperature": 3.0, "top_k": 0, "top_p": 1.0, "max_tokens": 12}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paged(tmp_path_factory.mktemp("paged") / "model")


@pytest.fixture
async def paged(folder: Path) -> AsyncIterator[EngineHost]:
    host = host_of("onnx", path=folder)
    yield host
    await host.stop()


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    engine = build(folder)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def spoken(folder: Path) -> Spoken:
    return Spoken(folder)


async def test_paged_answers_are_right_alone_and_together(
    paged: EngineHost, spoken: Spoken
) -> None:
    texts = [f"{n} words " * (n + 1) for n in range(8)]
    replies = await asyncio.gather(*(ask(paged, text, max_tokens=20) for text in texts))
    for text, reply in zip(texts, replies, strict=True):
        assert reply.text == spoken.answer(text, 20)
        assert reply.end.usage.cached_tokens == 0
    alone = await ask(paged, texts[3], max_tokens=20)
    assert alone.text == replies[3].text


def test_a_newcomer_joins_a_running_batch(engine: Engine, spoken: Spoken) -> None:
    admit(engine, 0, PROMPT, max_tokens=200)
    for _ in range(5):
        engine.step()
    admit(engine, 1, PROMPT[9:], max_tokens=5)
    events = [one for _ in range(6) for one in engine.step()]
    text = "".join(event.text for job, event in events if job == 1 and isinstance(event, Delta))
    assert text == spoken(likeliest(PROMPT[9:], 5))
    assert any(job == 1 and isinstance(event, End) for job, event in events)
    assert any(job == 0 and isinstance(event, Delta) for job, event in events)


async def test_pages_run_short_and_everybody_is_answered(folder: Path, spoken: Spoken) -> None:
    """Random lengths and cancellations in pages for little more than one context."""
    host = host_of("onnx", path=folder, slots=4, kv_cache_bytes=1)
    dice = random.Random(5)
    counted = {n: spoken.answer(f"Number {n} " * 9, 60) for n in range(4)}

    async def turn(number: int) -> None:
        text, limit = f"Number {number} " * 9, dice.randint(1, 60)
        asking = asyncio.create_task(ask(host, text, max_tokens=limit))
        if dice.random() < 0.25:
            await asyncio.sleep(dice.random() / 50)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        else:
            assert counted[number].startswith((await asking).text)

    for _ in range(4):
        await asyncio.gather(*(turn(dice.randrange(4)) for _ in range(12)))
    status = host.status()
    assert (status.restarts, status.active, status.waiting) == (0, 0, 0)
    await host.stop()


async def test_cancel_frees_the_slot(paged: EngineHost) -> None:
    for _ in range(10):  # more than there are slots
        async with aclosing(paged.stream(prompt(QUESTION, max_tokens=None))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    break
    assert (await ask(paged, QUESTION)).text


async def test_a_seed_repeats_an_answer_also_beside_others(paged: EngineHost) -> None:
    alone = await ask(paged, QUESTION, seed=5, **HOT)
    others = [ask(paged, f"{n} {QUESTION}", max_tokens=9 + n) for n in range(5)]
    again, *_ = await asyncio.gather(ask(paged, QUESTION, seed=5, **HOT), *others)
    assert again.text == alone.text
    fresh = {(await ask(paged, QUESTION, **HOT)).text for _ in range(3)}
    assert len(fresh | {alone.text}) == 4


async def test_the_context_is_filled_to_its_last_token(paged: EngineHost) -> None:
    reply = await ask(paged, QUESTION * 30, max_tokens=9999)
    usage = reply.end.usage
    assert reply.end.reason in {"length", "stop"}
    if reply.end.reason == "length":
        assert usage.prompt_tokens + usage.completion_tokens == CONTEXT
    assert (await size(paged, prompt(QUESTION))).limit == CONTEXT


async def test_a_request_that_the_library_refuses_fails_alone(paged: EngineHost) -> None:
    bad = ask(paged, QUESTION, repeat_penalty=-1.0)
    good, refused = await asyncio.gather(ask(paged, QUESTION), bad, return_exceptions=True)
    assert isinstance(good, Reply)
    assert isinstance(refused, UnsupportedInput)


async def test_an_engine_beyond_repair_ends_and_comes_back(tmp_path: Path) -> None:
    host = host_of("onnx", path=write_paged(tmp_path / "model", breaks_at=200))
    # The long one, which breaks it, comes first: the other one might have ended before.
    answers = [ask(host, QUESTION * n, max_tokens=100) for n in (30, 1)]
    for error in await asyncio.gather(*answers, return_exceptions=True):
        assert isinstance(error, EngineUnavailable)
    assert (await ask(host, QUESTION)).text
    assert host.status().restarts == 1
    await host.stop()


async def test_a_graph_that_fails_while_it_computes_says_so(tmp_path: Path) -> None:
    whole = write_paged(tmp_path / "model", block_size=PAGE * 2)
    host = host_of("onnx", path=whole)
    with pytest.raises(ModelNotLoadable, match="cannot run this model: ENGINE_EXECUTION"):
        await ask(host, QUESTION)
    await host.stop()
