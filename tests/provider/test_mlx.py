"""What the MLX engine does beyond the contract: prefix reuse, sampling, folders it loads."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from app.provider.engine import ENGINES, EngineLimits, EngineSpec, load
from app.provider.engines.mlx.format import need, read
from app.provider.pool.hardware import resident_bytes
from app.provider.runtime.host import EngineHost
from app.provider.types import Delta, End, Event, Message, Progress, Prompt, Started
from tests.provider.asking import MODELS, STARTERS, ask, host_of, prompt, size
from tests.provider.numbers import Row, check_engine

pytest.importorskip("mlx_lm", reason="mlx: mlx_lm is not installed")

SYSTEM = "You answer questions about this server. " * 12
QUESTION = "How do I stream an answer?"
LONG = "one two three four five six seven eight nine ten " * 20


@pytest.fixture
async def mlx() -> AsyncIterator[EngineHost]:
    host = host_of("mlx")
    yield host
    await host.stop()


@pytest.fixture(scope="module")
def engine() -> Any:
    """An engine stepped in this process."""
    return load(EngineSpec(ENGINES["mlx"], str(STARTERS["mlx"]), EngineLimits()), _ignored)


def _ignored(percent: int) -> None:
    assert 0 <= percent <= 100


def run(
    engine: Any, *prompts: Prompt, before_step: Callable[[int], None] = lambda _: None
) -> dict[int, list[Event]]:
    """Step the engine until all prompts are answered."""
    events_by_job: dict[int, list[Event]] = {job: [] for job in range(len(prompts))}
    for job, one in enumerate(prompts):
        assert engine.admit(job, engine.prepare(one))
    for step in range(2000):
        if all(events and isinstance(events[-1], End) for events in events_by_job.values()):
            break
        before_step(step)
        for job, event in engine.step():
            events_by_job.setdefault(job, []).append(event)
    return events_by_job


def started(events: list[Event]) -> Started:
    (found,) = [event for event in events if isinstance(event, Started)]
    return found


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_log_probabilities_are_those_of_the_model(engine: Any) -> None:
    mx = importlib.import_module("mlx.core")
    model, _ = importlib.import_module("mlx_lm").load(str(STARTERS["mlx"]))

    def reference(tokens: list[int], answer: list[int]) -> list[Row]:
        logits = model(mx.array([[*tokens, *answer[:-1]]]))[0, len(tokens) - 1 :]
        return list(np.array(logits.astype(mx.float32)))

    check_engine(engine, reference, tolerance=0.05)  # float16


def test_answers_are_those_of_mlx_lm(engine: Any) -> None:
    library = importlib.import_module("mlx_lm")
    model, tokenizer = library.load(str(STARTERS["mlx"]))
    for question in (QUESTION, "What is this?", "한국어를 할 수 있어?", LONG):
        chat = [{"role": "user", "content": question}]
        tokens = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
        expected = library.generate(model, tokenizer, tokens, max_tokens=48)
        assert text_of(run(engine, prompt(question))[0]).strip() == expected.strip()


def test_who_joins_in_mid_run_gets_the_same_answer(engine: Any) -> None:
    """The newcomer's prompt is much longer, so that all rows are moved."""
    seeded: dict[str, Any] = {"temperature": 1.0, "seed": 4, "max_tokens": 30}
    alone = [run(engine, prompt(QUESTION, **seeded))[0], run(engine, prompt(LONG))[0]]

    def join(step: int) -> None:
        if step == 5:
            assert engine.admit(1, engine.prepare(prompt(LONG)))

    events_by_job = run(engine, prompt(QUESTION, **seeded), before_step=join)
    while not isinstance(events_by_job[1][-1], End):
        for job, event in engine.step():
            events_by_job[job].append(event)
    assert [text_of(events_by_job[0]), text_of(events_by_job[1])] == [
        text_of(alone[0]),
        text_of(alone[1]),
    ]


def test_a_long_prompt_is_read_in_pieces_beside_running_answers(engine: Any) -> None:
    novel = prompt(LONG * 3, owner="reader", max_tokens=4)

    def join(step: int) -> None:
        if step == 3:
            assert engine.admit(1, engine.prepare(novel))

    events_by_job = run(engine, prompt(QUESTION, max_tokens=200, stop=("\0",)), before_step=join)
    while not isinstance(events_by_job[1][-1], End):
        for job, event in engine.step():
            events_by_job[job].append(event)
    read = [event.done for event in events_by_job[1] if isinstance(event, Progress)]
    sizes = [after - before for before, after in zip([0, *read], read, strict=False)]
    assert len(sizes) > 2
    assert max(sizes) <= 512


async def test_a_second_turn_computes_only_what_is_new(mlx: EngineHost) -> None:
    first = await ask(mlx, QUESTION, system=SYSTEM)
    second = await ask(mlx, QUESTION, first.text, "And what is version 1?", system=SYSTEM)
    assert first.started.cached_tokens == 0
    assert second.end.usage.cached_tokens >= first.end.usage.prompt_tokens
    assert second.end.usage.prompt_tokens - second.end.usage.cached_tokens < 60


async def test_simultaneous_requests_share_a_prefix_that_is_being_computed(
    mlx: EngineHost,
) -> None:
    await ask(mlx, "Load first, please.")
    replies = await asyncio.gather(*(ask(mlx, f"What is {n}?", system=SYSTEM) for n in range(8)))
    computed = [reply.started.prompt_tokens - reply.started.cached_tokens for reply in replies]
    assert sorted(computed)[-2] < 40
    assert max(computed) > 100


def test_reuse_does_not_change_the_answer(engine: Any) -> None:
    """Draws at a high temperature tell the least difference."""
    drawn: dict[str, Any] = {"temperature": 2.0, "system": SYSTEM, "max_tokens": 16}
    for seed, question in enumerate((QUESTION, "Something else?", "Who are you?", "How big?")):
        cold = run(engine, prompt(question, seed=seed, owner=f"cold {seed}", **drawn))[0]
        warm = run(engine, prompt(question, seed=seed, owner="warm", **drawn))[0]
        assert text_of(warm) == text_of(cold)
        assert started(cold).cached_tokens == 0
        assert (started(warm).cached_tokens > 90) == (seed > 0)


def test_owners_never_share_while_they_run(engine: Any) -> None:
    def join(step: int) -> None:
        if step == 8:
            for job, owner in ((1, "guest"), (2, "host")):
                asked = prompt(QUESTION, system=SYSTEM, owner=owner, max_tokens=2)
                assert engine.admit(job, engine.prepare(asked))

    beside = prompt("Go on.", system=SYSTEM, owner="host", max_tokens=60, stop=("\0",))
    events_by_job = run(engine, beside, before_step=join)
    assert started(events_by_job[1]).cached_tokens == 0
    assert started(events_by_job[2]).cached_tokens > 90


async def test_the_oldest_prefix_leaves_when_bytes_are_short() -> None:
    # About 120 tokens of 1 KiB each in a turn: two turns fit.
    host = host_of("mlx", slots=2, prefix_cache_bytes=300_000)
    for number in range(4):
        await ask(host, QUESTION, system=f"{number} {SYSTEM}", max_tokens=4)
    newest = await ask(host, QUESTION, system=f"3 {SYSTEM}", max_tokens=4)
    oldest = await ask(host, QUESTION, system=f"0 {SYSTEM}", max_tokens=4)
    await host.stop()
    assert oldest.started.cached_tokens < 10
    assert newest.started.cached_tokens > 100


def test_rows_are_admitted_only_while_their_longest_answers_fit() -> None:
    """With memory for one long row, long requests take turns and all end well."""
    limits = EngineLimits(slots=4, context_length=512, kv_cache_bytes=1)
    small = load(EngineSpec(ENGINES["mlx"], str(STARTERS["mlx"]), limits), _ignored)
    for job in range(3):
        assert small.admit(job, small.prepare(prompt(f"{job} hello", max_tokens=400)))
    events: list[tuple[int, Any]] = [found for _ in range(600) for found in small.step()]
    turns = [(job, type(event)) for job, event in events if isinstance(event, Started | End)]
    assert turns == [(job, part) for job in range(3) for part in (Started, End)]
    assert all(text_of([event for job, event in events if job == one]) for one in range(3))


def test_computed_tokens_are_those_whose_keys_the_batch_holds(engine: Any) -> None:
    """Of prompts in pieces and of answers, at every step; what follows is computed from them."""
    runner = engine._runner

    def check(_: int) -> None:
        for row, sequence in runner._rows.items():
            _, tokens = runner._generator.extract_cache([row])[row]
            assert list(tokens) == sequence.tokens.tolist()

    asked = (prompt(LONG[:size], owner=f"{size}", max_tokens=4) for size in (20, 900))
    run(engine, *asked, before_step=check)
    assert not runner._rows
    assert not runner._sequences


@pytest.mark.matrix
async def test_memory_is_what_was_predicted() -> None:
    """At the start, and when all rows and the prefix memory have been full."""
    limits: dict[str, Any] = {"slots": 2, "context_length": 512, "prefix_cache_bytes": 3 * 2**20}
    card = read(STARTERS["mlx"])
    assert card
    predicted = need(card, EngineLimits(**limits))
    host = host_of("mlx", **limits)
    await size(host, prompt(QUESTION))
    pid = host.status().pid
    assert pid
    taken = [resident_bytes(pid)]
    for turn in range(4):
        asked = (f"{turn} {row} {LONG}"[:900] for row in range(2))
        await asyncio.gather(*(ask(host, text, max_tokens=20) for text in asked))
    taken.append(resident_bytes(pid))
    await host.stop()
    assert taken == pytest.approx([predicted.at_start, predicted.total], rel=0.15)


async def test_a_hugging_face_folder_loads_as_it_is(mlx: EngineHost) -> None:
    plain = host_of("mlx", path=MODELS / "starter-hf")
    assert (await ask(plain, QUESTION)).text == (await ask(mlx, QUESTION)).text
    await plain.stop()


def test_a_message_of_several_turns_is_read(engine: Any) -> None:
    several = Prompt((Message.of("system", SYSTEM), Message.of("user", QUESTION)))
    assert engine.prepare(several).prompt_tokens > 100
