"""What every engine keeps that encodes, whatever it runs on: one process of each for all tests."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from app.provider.engine import EngineLimits, format_of
from app.provider.errors import EngineUnavailable, InputTooLong, UnsupportedInput
from app.provider.pool.hardware import resident_bytes
from app.provider.runtime.host import EngineHost
from app.provider.types import (
    Encode,
    Encoded,
    End,
    ImagePart,
    PairPart,
    Progress,
    Started,
    TextPart,
)
from tests.provider.asking import ask, signal_engine, until_idle
from tests.provider.encoder_asking import (
    EMBEDDERS,
    EVERY_ENGINE,
    RERANKERS,
    Vectors,
    card_of,
    encode,
    encoder_host,
    pairs,
    texts,
)
from tests.provider.pictures import noise
from tests.selection import matrix

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "a model answers over the network and its weights lie in one folder of this server"
WORDS = TEXT.split()
NEAR = 1e-5
LONG = " ".join(WORDS * 2000)
IMAGE = noise(8, 8)


def some_text(dice: random.Random, most: int = 30) -> str:
    """One word to ``most``: the tiny models take 64 tokens."""
    return " ".join(dice.choices(WORDS, k=dice.choice((1, 2, most // 6, most // 3, most))))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=EVERY_ENGINE)
async def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EngineHost]:
    """One process of each engine with a text embedder; leave it as it was."""
    path = EMBEDDERS[request.param](tmp_path_factory.mktemp("embedder"))
    host = encoder_host(request.param, path)
    yield host
    await host.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=EVERY_ENGINE)
async def reranker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EngineHost]:
    path = RERANKERS[request.param](tmp_path_factory.mktemp("reranker"))
    host = encoder_host(request.param, path)
    yield host
    await host.stop()


async def test_a_stream_is_started_then_every_item_once_then_one_end(host: EngineHost) -> None:
    dice = random.Random(1)
    found = await encode(host, texts(*(some_text(dice) for _ in range(50))))
    chunks = [event for event in found.events if not isinstance(event, Progress)]
    assert isinstance(chunks[0], Started)
    assert isinstance(chunks[-1], End)
    assert [one.index for one in found.encoded] == list(range(50))
    assert all(one.tokens > 0 and not one.truncated for one in found.encoded)
    assert found.end.usage.prompt_tokens == sum(one.tokens for one in found.encoded)
    assert len(chunks) == 52


async def test_vectors_have_the_length_one_and_differ(host: EngineHost) -> None:
    vectors = (await encode(host, texts("a model", "some weights", "the server answers"))).vectors
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=NEAR)
    similar = vectors @ vectors.T
    assert np.all(similar[~np.eye(3, dtype=bool)] < 0.999)


async def test_a_vector_is_the_same_alone_and_beside_others(host: EngineHost) -> None:
    """Sixteen clients at once, with requests of one to nine texts of one to thirty words."""
    dice = random.Random(2)
    asked = [
        [texts(*(some_text(dice) for _ in range(dice.choice((1, 1, 2, 9))))) for _ in range(3)]
        for _ in range(16)
    ]
    serial = [[(await encode(host, task)).vectors for task in tasks] for tasks in asked]

    async def client(tasks: list[Encode]) -> list[Vectors]:
        return [(await encode(host, task)).vectors for task in tasks]

    together = await asyncio.gather(*map(client, asked))
    for one, other in zip(chain(*serial), chain(*together), strict=True):
        assert np.abs(one - other).max() < NEAR
    alone = [(await encode(host, Encode((item,)))).vectors[0] for item in asked[0][0].items]
    assert np.abs(np.stack(alone) - serial[0][0]).max() < NEAR


async def test_a_prompt_is_put_before_each_text_as_it_is(host: EngineHost) -> None:
    with_prompt = await encode(host, texts("weights", "one folder", prompt="the model: "))
    written = await encode(host, texts("the model: weights", "the model: one folder"))
    assert np.abs(with_prompt.vectors - written.vectors).max() < NEAR
    assert [one.tokens for one in with_prompt.encoded] == [one.tokens for one in written.encoded]
    bare = await encode(host, texts("weights", "one folder"))
    assert np.abs(with_prompt.vectors - bare.vectors).max() > 0.01


async def test_vectors_are_cut_then_get_the_length_one(host: EngineHost) -> None:
    whole = (await encode(host, texts("a model", normalize=False))).vectors
    size = whole.shape[1]
    cut = (await encode(host, texts("a model", dimensions=size // 2))).vectors
    expected = whole[:, : size // 2] / np.linalg.norm(whole[:, : size // 2])
    assert np.abs(cut - expected).max() < NEAR
    same = (await encode(host, texts("a model", dimensions=size))).vectors
    assert np.abs(same - whole / np.linalg.norm(whole)).max() < NEAR
    with pytest.raises(UnsupportedInput, match=f"have {size} dimensions"):
        await encode(host, texts("a model", dimensions=size + 1))


async def test_a_text_that_is_too_long_is_refused_with_numbers_or_cut(host: EngineHost) -> None:
    with pytest.raises(InputTooLong) as caught:
        await encode(host, texts("fine", LONG))
    limit = caught.value.limit
    assert caught.value.index == 1
    assert caught.value.needed > limit > 0
    found = await encode(host, texts("fine", LONG, LONG + " more", truncate=True))
    fine, cut, other = found.encoded
    assert [one.truncated for one in found.encoded] == [False, True, True]
    assert fine.tokens < cut.tokens == other.tokens == limit
    assert cut.vector == other.vector or np.abs(found.vectors[1] - found.vectors[2]).max() < NEAR
    assert found.end.usage.prompt_tokens == fine.tokens + 2 * limit


async def test_one_of_many_that_is_too_long_is_found_as_well(host: EngineHost) -> None:
    with pytest.raises(InputTooLong) as caught:
        await encode(host, texts(*[TEXT] * 300, LONG))
    assert caught.value.index == 300
    await until_idle(host)


@pytest.mark.parametrize("item", [IMAGE, PairPart("a", "b")], ids=["image", "pair"])
async def test_what_the_model_does_not_take_is_refused(
    host: EngineHost, item: ImagePart | PairPart
) -> None:
    with pytest.raises(UnsupportedInput):
        await encode(host, Encode((TextPart("a"), item)))
    with pytest.raises(UnsupportedInput):
        await encode(host, Encode(()))


async def test_an_encoder_generates_no_text(host: EngineHost) -> None:
    with pytest.raises(UnsupportedInput, match="generates no text"):
        await ask(host, "Hello")


async def test_a_large_request_that_is_cancelled_is_forgotten(host: EngineHost) -> None:
    for _ in range(5):
        async with aclosing(host.stream(texts(*[TEXT] * 3000))) as events:
            async for event in events:
                if isinstance(event, Encoded):
                    break
    assert (await encode(host, texts("a model"))).encoded
    await until_idle(host)
    assert host.metrics.requests["cancelled", None] >= 5
    assert host.status().restarts == 0


async def test_requests_that_are_cancelled_before_they_begin_leave_nothing(
    host: EngineHost,
) -> None:
    asked = [asyncio.create_task(encode(host, texts("a model"))) for _ in range(8)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    rest = await asyncio.gather(*asked[1::2])
    assert len({one.encoded[0].vector for one in rest}) == 1
    await until_idle(host)


async def test_a_short_request_ends_before_a_large_one_that_came_first(host: EngineHost) -> None:
    large = host.stream(texts(*[TEXT] * 3000))
    async with aclosing(large):
        seen = 0
        async for event in large:
            seen += isinstance(event, Encoded)
            if seen == 1:
                await encode(host, texts("a model"))
                break
        assert host.status().active == 1
    await until_idle(host)


async def test_metrics_count_inputs_and_tokens(host: EngineHost) -> None:
    inputs, tokens = host.metrics.encoded_inputs, host.metrics.prompt_tokens
    found = await encode(host, texts("a model", "the weights", "one"))
    assert host.metrics.encoded_inputs == inputs + 3
    assert host.metrics.prompt_tokens == tokens + found.end.usage.prompt_tokens
    assert host.metrics.requests["stop", None] > 0


@pytest.mark.parametrize("engine", ["echo", *matrix("gguf", "onnx", "pytorch")])
async def test_an_engine_killed_in_mid_batch_fails_its_requests_and_comes_back(
    engine: str, tmp_path: Path
) -> None:
    mortal = encoder_host(engine, EMBEDDERS[engine](tmp_path))
    expected = (await encode(mortal, texts("a model"))).vectors

    async def large() -> None:
        async with aclosing(mortal.stream(texts(*[TEXT] * 3000))) as events:
            async for event in events:
                if isinstance(event, Encoded):
                    signal_engine(mortal, signal.SIGKILL)

    with pytest.raises(EngineUnavailable, match="signal 9"):
        await large()
    assert np.abs((await encode(mortal, texts("a model"))).vectors - expected).max() < NEAR
    assert mortal.status().restarts == 1
    signal_engine(mortal, signal.SIGSTOP)
    running = [asyncio.create_task(encode(mortal, texts("a", "b"))) for _ in range(16)]
    await asyncio.sleep(0.02)
    signal_engine(mortal, signal.SIGKILL)
    for error in await asyncio.gather(*running, return_exceptions=True):
        assert isinstance(error, EngineUnavailable)
    assert (await encode(mortal, texts("a model"))).encoded
    await mortal.stop()


@pytest.mark.parametrize("engine", EVERY_ENGINE)
async def test_memory_is_what_was_predicted(engine: str, tmp_path: Path) -> None:
    """After texts of all lengths from several clients at once."""
    path, dice = EMBEDDERS[engine](tmp_path), random.Random(5)
    host = encoder_host(engine, path)
    mixed = [LONG[:4000], *(some_text(dice) for _ in range(9))] * 20
    await asyncio.gather(*(encode(host, texts(*mixed, truncate=True)) for _ in range(4)))
    pid = host.status().pid
    assert pid
    needed = format_of(engine).need(card_of(engine, path), EngineLimits()).total
    assert resident_bytes(pid) == pytest.approx(needed, rel=0.15)
    await host.stop()


# ---------------------------------------------------------------- scores


async def test_scores_are_from_0_to_1_and_the_sigmoid_of_the_raw_ones(
    reranker: EngineHost,
) -> None:
    asked = ("the model answers", "a model answers over the network", "one folder", "weights")
    scores = (await encode(reranker, pairs(*asked))).scores
    raw = (await encode(reranker, pairs(*asked, raw_scores=True))).scores
    assert all(0 < score < 1 for score in scores)
    assert len(set(scores)) == 3
    assert np.argsort(scores).tolist() == np.argsort(raw).tolist()


async def test_a_score_is_the_same_alone_and_beside_others(reranker: EngineHost) -> None:
    dice = random.Random(4)
    asked = [
        pairs(some_text(dice, 6), *(some_text(dice, 12) for _ in range(n))) for n in (1, 2, 7, 1)
    ]
    serial = [(await encode(reranker, task)).scores for task in asked]
    together = await asyncio.gather(*(encode(reranker, task) for task in asked * 4))
    for one, other in zip(serial * 4, together, strict=True):
        assert np.allclose(one, other.scores, atol=NEAR)


async def test_a_pair_that_is_too_long_is_refused_or_cut(reranker: EngineHost) -> None:
    with pytest.raises(InputTooLong) as caught:
        await encode(reranker, pairs("the model", "fine", LONG))
    assert caught.value.index == 1
    found = await encode(reranker, pairs("the model", "fine", LONG, truncate=True))
    assert [one.truncated for one in found.encoded] == [False, True]
    assert found.encoded[1].tokens <= caught.value.limit


async def test_a_reranker_makes_no_vectors_of_texts(reranker: EngineHost) -> None:
    with pytest.raises(UnsupportedInput):
        await encode(reranker, texts("a model"))
