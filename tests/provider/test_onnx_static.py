"""onnxruntime-genai's static engine behind our contract, as models without paging run on GPUs.

There is no GPU here: it runs on a CPU, where ``build`` would take our own engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load, missing_library
from app.provider.engines.onnx.settings import read_settings
from app.provider.errors import ContextOverflow, ProviderError, UnsupportedInput
from app.provider.types import Delta, End, Message, Prompt, Sampling, Started
from tests.provider.asking import STARTERS, Reply, prompt

if library := missing_library("onnx"):
    pytest.skip(f"onnx: {library} is not installed", allow_module_level=True)
PAGED = pytest.importorskip("app.provider.engines.onnx.genai.engine")

QUESTION = "How do I stream an answer?"
HOT: dict[str, Any] = {"temperature": 3.0, "top_k": 0, "top_p": 1.0, "max_tokens": 12}


def static(**limits: Any) -> Engine:
    """The library's static engine on the starter model, which only GPUs get."""
    folder = STARTERS["onnx"]
    spec = EngineSpec(ENGINES["onnx"], str(folder), EngineLimits(**limits))
    engine: Engine = PAGED.PagedEngine(spec, read_settings(folder), "cpu", lambda percent: None)
    return engine


def answers(engine: Engine, prompts: list[Prompt]) -> list[Reply]:
    """Ask all of them, each as soon as there is a slot; checks that none is left."""
    replies = [Reply() for _ in prompts]
    waiting, active = list(range(len(prompts))), set[int]()
    while waiting or active:
        while waiting and engine.admit(waiting[0], engine.prepare(prompts[waiting[0]])):
            active.add(waiting.pop(0))
        for job, event in engine.step():
            assert not isinstance(event, ProviderError)
            replies[job].events.append(event)
            if isinstance(event, End):
                active.remove(job)
    return replies


@pytest.fixture(scope="module")
def starter() -> Iterator[Engine]:
    engine = static(slots=4)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def ours() -> Iterator[Engine]:
    """Our own engine on the same model."""
    spec = EngineSpec(ENGINES["onnx"], str(STARTERS["onnx"]), EngineLimits())
    engine = load(spec, lambda percent: None)
    yield engine
    engine.close()


# -------------------------------------------------------------------- static batches


def test_answers_are_those_of_our_own_engine(starter: Engine, ours: Engine) -> None:
    topics = ["streaming", "version 1", "a GPU", "models", "the port", "docs", "memory"]
    prompts = [prompt(f"Tell me about {topic}", max_tokens=24) for topic in topics]
    for theirs, own in zip(answers(starter, prompts), answers(ours, prompts), strict=True):
        assert isinstance(theirs.events[0], Started)
        assert all(isinstance(event, Delta) for event in theirs.events[1:-1])
        assert (theirs.text, theirs.end) == (own.text, own.end)


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_max_tokens_is_exact(starter: Engine, limit: int) -> None:
    (reply,) = answers(starter, [prompt(QUESTION, max_tokens=limit)])
    assert (reply.end.reason, reply.end.usage.completion_tokens) == ("length", limit)
    assert reply.end.usage.prompt_tokens == reply.started.prompt_tokens
    assert reply.end.usage.cached_tokens == 0


def test_a_stop_string_ends_one_answer_and_not_the_other(starter: Engine) -> None:
    both = [prompt(QUESTION), prompt("What is version 1?")]
    whole, other = answers(starter, both)
    stop = whole.text[len(whole.text) // 2 :][:6]
    cut, same = answers(starter, [prompt(QUESTION, stop=(stop, "never said")), both[1]])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.end.reason == "stop"
    assert same.text == other.text


def test_many_more_requests_than_slots_are_all_answered(starter: Engine) -> None:
    prompts = [prompt(f"What is number {n}?", max_tokens=1 + n % 9) for n in range(30)]
    alone = [answers(starter, [one])[0].text for one in prompts[:3]]
    replies = answers(starter, prompts)
    assert [reply.text for reply in replies[:3]] == alone


def test_a_dropped_answer_is_never_heard_of_again(starter: Engine) -> None:
    for job in range(4):
        assert starter.admit(job, starter.prepare(prompt(QUESTION, max_tokens=40)))
    assert not starter.admit(4, starter.prepare(prompt(QUESTION)))
    starter.step()
    for job in (0, 2):
        starter.drop(job)
    ended: list[int] = []
    while len(ended) < 2:
        events = starter.step()
        assert not {0, 2} & {job for job, _ in events}
        ended += [job for job, event in events if isinstance(event, End)]
    assert answers(starter, [prompt(QUESTION)])[0].text


def test_a_static_batch_holds_no_more_than_there_are_cells() -> None:
    """A token takes 2 kB, so that 1 MB holds one whole context of 512 tokens."""
    engine = static(kv_cache_bytes=2**20, context_length=512, slots=8)
    for job in range(3):
        assert engine.admit(job, engine.prepare(prompt(QUESTION, max_tokens=200)))
    assert [job for job, event in engine.step() if isinstance(event, Started)] == [0, 1]
    engine.close()


def test_overflow_and_count(starter: Engine) -> None:
    with pytest.raises(ContextOverflow) as caught:
        starter.prepare(prompt("word " * 50_000))
    assert caught.value.limit == starter.info.context_length
    counted = starter.prepare(prompt(QUESTION)).prompt_tokens
    assert counted == answers(starter, [prompt(QUESTION)])[0].started.prompt_tokens


# -------------------------------------------------------------------- what can be drawn


def test_the_defaults_of_the_api_work(starter: Engine) -> None:
    asked = Prompt((Message.of("user", QUESTION),), Sampling(max_tokens=12))
    assert answers(starter, [asked])[0].text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -0.5}, "frequency_penalty"),
        ({"temperature": 1.0, "min_p": 0.2}, "min_p 0.2"),
        ({"temperature": 1.0, "seed": 3}, "a seed"),
    ],
)
def test_what_the_library_cannot_do_is_refused(
    starter: Engine, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnsupportedInput, match=named):
        starter.prepare(prompt(QUESTION, **options))


def test_log_probabilities_are_refused(starter: Engine) -> None:
    with pytest.raises(UnsupportedInput, match="does not know log-probabilities"):
        starter.prepare(structs.replace(prompt(QUESTION), logprobs=0))


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 3, "min_p": 0.2},
        {"temperature": 2.0, "top_k": 1, "seed": 3},
        {"temperature": 2.0, "top_p": 0.0, "min_p": 0.5},
    ],
)
def test_where_nothing_is_drawn_everything_is_the_likeliest(
    starter: Engine, options: dict[str, Any]
) -> None:
    likely, same = answers(starter, [prompt(QUESTION), prompt(QUESTION, **options)])
    assert same.text == likely.text


def test_filters_and_penalty_reach_the_library(starter: Engine) -> None:
    """The narrowest filters leave only the likeliest token, a vast penalty no repetition."""
    narrow: list[dict[str, Any]] = [{"top_p": 1e-6}, {"temperature": 1e-4}]
    plain, *others = answers(
        starter, [prompt(QUESTION), *(prompt(QUESTION, **HOT | one) for one in narrow)]
    )
    assert all(plain.text.startswith(other.text) for other in others)
    wild, again = answers(starter, [prompt(QUESTION, **HOT | {"top_k": 10**6})] * 2)
    assert len({plain.text[: len(wild.text)], wild.text, again.text}) == 3
    (penalised,) = answers(starter, [prompt(QUESTION, repeat_penalty=100.0)])
    assert penalised.text != plain.text
