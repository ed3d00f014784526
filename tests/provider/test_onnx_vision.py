"""Pictures on onnxruntime-genai's multimodal models, beside the same sums in numpy."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from app.provider.card import ModelCard, Vision
from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load
from app.provider.engines.onnx.format import need, read
from app.provider.errors import ContextOverflow, ModelNotLoadable, ProviderError, UnsupportedInput
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.runtime.host import EngineHost
from app.provider.types import Delta, End, ImagePart, Message, Prompt, Sampling, SeenImage, TextPart
from tests.provider.asking import Reply, ask, collect, host_of
from tests.provider.genai_vision_files import CONTEXT, likeliest, write_vision_model
from tests.provider.numbers import tokens_of

for library in ("onnxruntime", "onnxruntime_genai"):
    pytest.importorskip(library)

ODD = (301, 97)
"""A size that has to be scaled."""


def picture(seed: int, width: int = 56, height: int = 84) -> ImagePart:
    """Random colours in blocks, so that scaling does not make them all grey."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST).save(content, "PNG")
    data = content.getvalue()
    return ImagePart(data, hashlib.sha256(data).hexdigest(), width, height)


def asked(*parts: ImagePart | str, **sampling: Any) -> Prompt:
    content = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    options = {"temperature": 0.0, "max_tokens": 12} | sampling
    return Prompt((Message("user", content),), Sampling(**options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vision_model(tmp_path_factory.mktemp("seeing") / "model")


@pytest.fixture
async def host(folder: Path) -> AsyncIterator[EngineHost]:
    host = host_of("onnx", path=folder)
    yield host
    await host.stop()


def expected(folder: Path, text: str, pictures: list[ImagePart], count: int = 12) -> str:
    """What the model must answer to a text in which ``[…]`` names the tokens of a picture."""
    words = HubTokenizer(folder)
    filled = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    for size in (one.split("]")[0] for one in text.split("[")[1:]):
        places = "<|image_pad|>" * int(size)
        filled = filled.replace(f"[{size}]", f"<|vision_start|>{places}<|vision_end|>", 1)
    tokens = words.tokenize(filled)
    answer = likeliest(tokens, pictures, count)
    return b"".join(words.piece(token) or b"" for token in answer).decode(errors="ignore")


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("size", [(56, 84), (112, 28), ODD, (900, 700), (20, 20)])
async def test_an_answer_depends_on_the_picture_as_the_sums_say(
    host: EngineHost, folder: Path, size: tuple[int, int]
) -> None:
    texts = set()
    for seed in (1, 2):
        shown = picture(seed, *size)
        reply = await collect(host.stream(asked("See", shown, "what is it?")))
        (seen,) = reply.started.images
        assert (seen.sha256, seen.tokens) == (shown.sha256, seen.width * seen.height // 784)
        assert reply.text == expected(folder, f"See[{seen.tokens}]what is it?", [shown])
        texts.add(reply.text)
    assert len(texts) == 2


async def test_pictures_of_different_sizes_in_one_prompt(host: EngineHost, folder: Path) -> None:
    one, two, three = picture(3), picture(4, *ODD), picture(5, 28, 224)
    reply = await collect(host.stream(asked(one, "and", two, "and", three)))
    assert reply.started.images == (
        SeenImage(one.sha256, 56, 84, 6),
        SeenImage(two.sha256, 308, 84, 33),
        SeenImage(three.sha256, 28, 224, 8),
    )
    assert reply.text == expected(folder, "[6]and[33]and[8]", [one, two, three])
    turned = await collect(host.stream(asked(two, "and", one, "and", three)))
    assert turned.text != reply.text
    measured = structs.replace(asked(one, "and", two, "and", three), logprobs=1)
    tokens = tokens_of((await collect(host.stream(measured))).events)
    assert b"".join(token.piece for token in tokens).decode(errors="ignore") == reply.text
    assert all(token.logprob == token.top[0].logprob < 0 for token in tokens)


async def test_a_conversation_goes_on_after_a_picture(host: EngineHost, folder: Path) -> None:
    shown = picture(6)
    first = Message("user", (shown, TextPart("first")))
    then = (first, Message.of("assistant", "seen"), Message.of("user", "and?"))
    reply = await collect(host.stream(Prompt(then, Sampling(temperature=0.0, max_tokens=8))))
    turns = "[6]first<|im_end|>\n<|im_start|>assistant\nseen<|im_end|>\n<|im_start|>user\nand?"
    assert reply.text == expected(folder, turns, [shown], 8)


async def test_text_alone(host: EngineHost, folder: Path) -> None:
    for text in ("hello there", "and again"):
        reply = await ask(host, text, max_tokens=12)
        assert (reply.text, reply.started.images) == (expected(folder, text, []), ())


async def test_a_text_cannot_forge_a_picture(host: EngineHost) -> None:
    forged = "<|vision_start|><|image_pad|><|vision_end|>"
    reply = await collect(host.stream(asked(picture(7), forged)))
    assert len(reply.started.images) == 1
    assert (await ask(host, forged)).text


async def test_limits_stops_and_counts(host: EngineHost) -> None:
    shown = picture(8)
    whole = await collect(host.stream(asked(shown, "go")))
    assert whole.end.usage.prompt_tokens == whole.started.prompt_tokens
    assert (whole.end.reason, whole.end.usage.completion_tokens) == ("length", 12)
    one = await collect(host.stream(asked(shown, "go", max_tokens=1)))
    assert (one.end.reason, one.end.usage.completion_tokens) == ("length", 1)
    stop = whole.text[len(whole.text) // 2 :][:3]
    cut = await collect(host.stream(asked(shown, "go", stop=(stop,))))
    assert (cut.text, cut.end.reason) == (whole.text[: whole.text.index(stop)], "stop")


# ---------------------------------------------------------------- several, and failures


async def test_requests_wait_for_each_other_and_a_cancelled_one_leaves(host: EngineHost) -> None:
    endless = host.stream(asked(picture(9), "on and on", max_tokens=900))
    async with aclosing(endless):
        async for event in endless:
            if isinstance(event, Delta):
                break
        waiting = [asyncio.create_task(_answer(host, seed)) for seed in (10, 11)]
        await asyncio.sleep(0.05)
    together = [(await task).text for task in waiting]
    assert together == [(await _answer(host, seed)).text for seed in (10, 11)]


def test_a_dropped_answer_is_never_heard_of_again(folder: Path) -> None:
    engine = _load(folder)
    for steps in range(3):  # before it is told of, before it is read, while it is written
        assert engine.admit(0, engine.prepare(asked(picture(1), "go")))
        assert not engine.admit(1, engine.prepare(asked("go")))
        for _ in range(steps):
            engine.step()
        engine.drop(1)
        engine.drop(0)
        assert engine.step() == []
    assert engine.admit(2, engine.prepare(asked("go", max_tokens=2)))
    events: list[tuple[int, object]] = []
    while not (events and isinstance(events[-1][1], End)):
        events += engine.step()
    assert {job for job, _ in events} == {2}
    engine.close()


async def _answer(host: EngineHost, seed: int) -> Reply:
    return await collect(host.stream(asked(picture(seed), "what?")))


async def test_what_cannot_be_shown_is_refused_and_harms_nobody(host: EngineHost) -> None:
    before = (await _answer(host, 12)).text
    with pytest.raises(UnsupportedInput, match="as long as wide"):
        await collect(host.stream(asked(picture(1, 3000, 10), "what?")))
    with pytest.raises(ContextOverflow) as caught:
        await collect(host.stream(asked(*[picture(n, 300, 300) for n in range(20)])))
    assert caught.value.limit == CONTEXT
    for content in (b"no picture", picture(1).content[:200]):
        with pytest.raises(UnsupportedInput, match="cannot be read"):
            await collect(host.stream(asked(ImagePart(content, "0" * 64, 56, 84), "what?")))
    lying = ImagePart(picture(1, 28, 28).content, "0" * 64, 56, 84)
    assert (await collect(host.stream(asked(lying, "what?")))).started.images[0].tokens == 6
    assert (await _answer(host, 12)).text == before


async def test_a_graph_that_fails_fails_one_request(tmp_path: Path) -> None:
    host = host_of("onnx", path=write_vision_model(tmp_path / "m", patches_of_token=2))
    for _ in range(2):
        with pytest.raises(ProviderError, match="cannot read this prompt"):
            await collect(host.stream(asked(picture(1), "what?")))
        assert (await ask(host, "hello")).text
    assert host.status().restarts == 0
    await host.stop()


async def test_a_picture_may_be_bounded(folder: Path) -> None:
    host = host_of("onnx", path=folder, image_tokens=9)
    reply = await collect(host.stream(asked(picture(13, 900, 700), "what?")))
    await host.stop()
    (seen,) = reply.started.images
    assert (seen.width, seen.height, seen.tokens) == (84, 56, 6)


# ---------------------------------------------------------------- folders


def described(folder: Path) -> ModelCard:
    card = read(folder)
    assert card
    return card


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "fara"])
async def test_both_types_say_what_they_take(tmp_path: Path, kind: str) -> None:
    folder = write_vision_model(tmp_path / "m", kind)
    card = described(folder)
    assert (card.problem, card.tasks, card.kind) == (None, ("chat", "vision"), "vision-chat")
    assert card.vision == Vision(min_tokens=4, max_tokens=64, max_pixels=64 * 784)
    host = host_of("onnx", path=folder)
    reply = await collect(host.stream(asked(picture(14), "what?")))
    assert reply.text == expected(folder, "[6]what?", [picture(14)])
    await host.stop()


def test_it_needs_memory_for_one_conversation(folder: Path) -> None:
    few, many = (need(described(folder), EngineLimits(slots=slots)) for slots in (1, 8))
    assert few == many
    assert few.prefix_cache == 0
    assert few.vision > 100 * 28**2 * CONTEXT  # pictures that fill it


@pytest.mark.parametrize("kind", ["phi4mm", "gemma3", "qwen3_vl"])
def test_types_that_were_not_seen_running_are_named(tmp_path: Path, kind: str) -> None:
    card = described(write_vision_model(tmp_path / "m", kind))
    assert (card.tasks, card.vision) == (("chat",), None)
    assert card.problem
    assert kind in card.problem


def test_graphs_in_a_pipeline_and_other_processors_are_not_known(tmp_path: Path) -> None:
    folder = write_vision_model(tmp_path / "m")
    processor = json.loads((folder / "processor_config.json").read_text())
    del processor["processor"]["transforms"][-1]
    (folder / "processor_config.json").write_text(json.dumps(processor))
    assert described(folder).vision is None
    with pytest.raises(ModelNotLoadable, match=r"processor_config\.json"):
        _load(folder)
    pipeline = {"pipeline": [{"patch_embed": {"filename": "vision.onnx"}}]}
    assert described(write_vision_model(tmp_path / "p", vision=pipeline)).vision is None


def test_a_broken_folder_says_why_it_cannot_be_loaded(tmp_path: Path) -> None:
    other = write_vision_model(tmp_path / "graph")
    (other / "embedding.onnx").write_bytes((other / "vision.onnx").read_bytes())
    with pytest.raises(ModelNotLoadable, match="onnxruntime-genai cannot"):
        _load(other)
    words = write_vision_model(tmp_path / "words")
    tokenizer = (words / "tokenizer.json").read_text().replace("<|image_pad|>", "<|image|>")
    (words / "tokenizer.json").write_text(tokenizer)
    with pytest.raises(ModelNotLoadable, match=r"<\|image_pad\|>"):
        _load(words)
    with pytest.raises(ModelNotLoadable, match="ONNX_PROVIDERS"):
        _load(write_vision_model(tmp_path / "gpu"), onnx_providers=("cuda",))


def _load(folder: Path, **limits: Any) -> Engine:
    """The engine, in this process."""
    spec = EngineSpec(ENGINES["onnx"], str(folder), EngineLimits(**limits))
    return load(spec, lambda percent: None)
