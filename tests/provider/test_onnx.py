"""What the ONNX engine does beyond the contract: prefix reuse, rows that move, odd folders."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, format_of, load, missing_library
from app.provider.errors import ModelNotLoadable
from app.provider.pool.hardware import resident_bytes
from app.provider.runtime.host import EngineHost
from app.provider.types import Started
from tests.provider.asking import STARTERS, ask, host_of, prompt
from tests.selection import matrix

if library := missing_library("onnx"):
    pytest.skip(f"onnx: {library} is not installed", allow_module_level=True)

SYSTEM = "You answer questions about this server. " * 12
QUESTION = "How do I stream an answer?"
HOT = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_tokens": 24}


@pytest.fixture
async def onnx() -> AsyncIterator[EngineHost]:
    host = host_of("onnx")
    yield host
    await host.stop()


async def test_a_second_turn_computes_only_what_is_new(onnx: EngineHost) -> None:
    first = await ask(onnx, QUESTION, system=SYSTEM)
    second = await ask(onnx, QUESTION, first.text, "And what is version 1?", system=SYSTEM)
    assert first.started.cached_tokens == 0
    assert second.end.usage.cached_tokens >= first.end.usage.prompt_tokens
    assert second.end.usage.prompt_tokens - second.end.usage.cached_tokens < 60


async def test_the_last_token_is_never_taken_from_the_cache(onnx: EngineHost) -> None:
    first, again = [await ask(onnx, QUESTION, system=SYSTEM) for _ in range(2)]
    assert again.started.cached_tokens == again.started.prompt_tokens - 1
    assert again.text == first.text


def test_prompts_wait_for_a_prefix_that_is_being_read() -> None:
    spec = EngineSpec(ENGINES["onnx"], str(STARTERS["onnx"]), EngineLimits())
    engine = load(spec, lambda percent: None)
    for job in range(4):
        asked = prompt(f"What is {job}?", system=SYSTEM, max_tokens=2)
        assert engine.admit(job, engine.prepare(asked))
    started: list[Started] = []
    while len(started) < 4:
        started += [event for _, event in engine.step() if isinstance(event, Started)]
    first, *others = [one.prompt_tokens - one.cached_tokens for one in started]
    assert first > 100
    assert max(others) < 40
    engine.close()


async def test_reuse_does_not_change_the_answer(onnx: EngineHost) -> None:
    cold = await ask(onnx, QUESTION, system=SYSTEM, owner="one")
    await ask(onnx, "Something else?", system=SYSTEM, owner="two")
    warm = await ask(onnx, QUESTION, system=SYSTEM, owner="two")
    assert warm.started.cached_tokens > 100
    assert warm.text == cold.text


async def test_owners_never_share(onnx: EngineHost) -> None:
    await ask(onnx, QUESTION, system=SYSTEM, owner="one")
    other = await ask(onnx, QUESTION, system=SYSTEM, owner="two")
    assert other.started.cached_tokens == 0
    both = [ask(onnx, "Now?", system=SYSTEM + "Be kind.", owner=owner) for owner in ("3", "4")]
    assert [reply.started.cached_tokens for reply in await asyncio.gather(*both)] == [0, 0]


async def test_the_oldest_conversations_leave_when_bytes_run_out() -> None:
    """A token takes 2 kB, so that 640 kB hold two of these conversations.

    The few tokens that all prompts begin with are no use of the oldest one.
    """
    host = host_of("onnx", prefix_cache_bytes=640 * 2**10)
    for number in range(3):
        await ask(host, QUESTION, system=f"{number} {SYSTEM}", max_tokens=8)
    kept = [await ask(host, QUESTION, system=f"{number} {SYSTEM}") for number in (1, 0)]
    assert kept[0].started.cached_tokens > 100
    assert kept[1].started.cached_tokens < 10
    await host.stop()


async def test_without_ram_for_prefixes_every_prompt_is_computed() -> None:
    host = host_of("onnx", prefix_cache_bytes=0)
    first, again = [await ask(host, QUESTION, system=SYSTEM) for _ in range(2)]
    assert again.started.cached_tokens == 0
    assert again.text == first.text
    await host.stop()


async def test_answers_that_end_early_do_not_disturb_the_others(onnx: EngineHost) -> None:
    """Whenever one ends, the last row moves into its place."""
    topics = ["streaming", "version 1", "a GPU", "models", "the port", "docs", "memory", "history"]
    whole = {topic: (await ask(onnx, f"Tell me about {topic}")).text for topic in topics}
    dice = random.Random(3)
    asked = [dice.choice(topics) for _ in range(64)]
    replies = await asyncio.gather(
        *(ask(onnx, f"Tell me about {topic}", max_tokens=dice.randint(1, 40)) for topic in asked)
    )
    for topic, reply in zip(asked, replies, strict=True):
        assert whole[topic].startswith(reply.text)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no such call")
async def test_threads_are_limited_by_cores(onnx: EngineHost) -> None:
    await ask(onnx, QUESTION)
    engine = psutil.Process(onnx.status().pid)
    onnx.set_threads(1)
    await ask(onnx, QUESTION)
    few = {tuple(psutil.Process(thread.id).cpu_affinity()) for thread in engine.threads()}
    onnx.set_threads(64)
    await ask(onnx, QUESTION)
    assert {len(cores) for cores in few} == {1}
    assert engine.cpu_affinity() == psutil.Process().cpu_affinity()


async def test_memory_is_what_was_predicted() -> None:
    """Keys and values become real as they are written, so at first they are not there."""
    limits = EngineLimits(kv_cache_bytes=16 * 2**20, prefix_cache_bytes=8 * 2**20)
    card = format_of("onnx").read(STARTERS["onnx"])
    assert card
    need = format_of("onnx").need(card, limits)
    host = host_of("onnx", **asdict(limits))
    await ask(host, "hello")
    pid = host.status().pid
    assert pid
    first = resident_bytes(pid)
    for turn in range(3):
        texts = [f"{turn} {n} " + "How do I stream? " * 160 for n in range(8)]
        await asyncio.gather(*(ask(host, text, max_tokens=8) for text in texts))
    full = resident_bytes(pid)
    await host.stop()
    assert first == pytest.approx(need.at_start, rel=0.15)
    assert full == pytest.approx(need.total, rel=0.2)  # the scores of a long chunk are not counted


# -------------------------------------------------------------------- odd folders


def without(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()

    return spoil


def cut(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])

    return spoil


def renamed(graph: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "genai_config.json"
        path.write_text(path.read_text().replace("model.onnx", graph))

    return spoil


def named(part: str, key: str, value: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "genai_config.json"
        config: dict[str, Any] = json.loads(path.read_text())
        config["model"]["decoder"][part][key] = value
        path.write_text(json.dumps(config))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without("genai_config.json"), "genai_config.json is missing"),
        (without("model.onnx"), "cannot load the graph"),
        (cut("model.onnx.data"), "cannot load the graph"),
        (cut("tokenizer.json"), "tokenizer.json cannot be read"),
        *matrix(
            (without("model.onnx.data"), "cannot load the graph"),
            (cut("model.onnx"), "cannot load the graph"),
            (without("tokenizer.json"), "tokenizer.json cannot be read"),
        ),
        (cut("genai_config.json"), "lacks|describes no decoder"),
        (named("inputs", "past_key_names", "past.%d.k"), "cannot be batched"),
        (named("inputs", "past_key_names", "past.key"), "lacks what this engine needs"),
        (named("inputs", "past_key_names", "past.%d.%s"), "lacks what this engine needs"),
        (renamed("/etc/passwd"), "leads out of the model"),
        (named("inputs", "block_table", "block_table"), "paged attention"),
    ],
)
async def test_a_folder_that_is_no_model_says_why(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    folder = Path(shutil.copytree(STARTERS["onnx"], tmp_path / "model"))
    spoil(folder)
    host = host_of("onnx", path=folder)
    with pytest.raises(ModelNotLoadable, match=reason):
        await ask(host, QUESTION)
    await host.stop()


async def test_the_first_execution_provider_that_is_there_is_taken() -> None:
    host = host_of("onnx", onnx_providers=("cuda", "cpu"))
    assert (await ask(host, QUESTION)).text
    await host.stop()


@pytest.mark.parametrize(
    ("names", "reason"), [(("gpu",), "there are only"), (("cuda",), "use cpu")]
)
async def test_a_wrong_execution_provider_says_why(names: tuple[str, ...], reason: str) -> None:
    host = host_of("onnx", onnx_providers=names)
    with pytest.raises(ModelNotLoadable, match=reason):
        await ask(host, QUESTION)
    await host.stop()
