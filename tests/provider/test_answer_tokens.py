"""Tokens of an answer with their log-probabilities, and control tokens as text."""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

from app.provider.generation.answer_tokens import Logprobs
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import AnswerForm, PreparedPrompt, prepare_prompt
from app.provider.generation.sampler import logprobs
from app.provider.generation.thinking import NO_THINKING, ThinkingStart
from app.provider.types import Delta, End, Event, Prompt, ThinkingDelta, Token
from tests.provider.asking import STARTER, Reply, prompt
from tests.provider.gguf_driver import Driver
from tests.provider.numbers import Row, check_numbers, log_softmax
from tests.provider.test_thinking import CASES, say


def asking(
    text: str,
    count: int | None = None,
    thinking: bool = False,
    keep_special: bool = False,
    **sampling: Any,
) -> Prompt:
    """A prompt that asks for more than text; ``count`` alternatives of each token."""
    asked = prompt(text, **sampling)
    return Prompt(
        asked.messages,
        asked.sampling,
        logprobs=count,
        thinking=thinking,
        keep_special=keep_special,
    )


def prepared(
    thinking: ThinkingStart = NO_THINKING, *, shown: bool = False, stop: tuple[str, ...] = ()
) -> PreparedPrompt:
    asked = Prompt((), prompt("", stop=stop).sampling, logprobs=0, thinking=shown)
    return prepare_prompt([1], asked, 512, answer=AnswerForm(thinking))


def written(asked: PreparedPrompt, pieces: list[bytes], *, limit: int = 512) -> list[Event]:
    """The events of an answer of these tokens, which are numbered."""
    output = OutputStream(asked, limit, 0)
    events: list[Event] = []
    for number, piece in enumerate(pieces):
        events += output.push(piece, Token(number, piece, 0.0))
        if events and isinstance(events[-1], End):
            return events
    return events + output.push(None)


def tokens_of(events: list[Event], kind: type[Delta | ThinkingDelta]) -> list[Token]:
    return [token for event in events if isinstance(event, kind) for token in event.tokens]


def text_of(events: list[Event], kind: type[Delta | ThinkingDelta]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def in_pieces(raw: bytes, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    cuts = sorted(dice.sample(range(len(raw) + 1), k=min(len(raw), dice.randrange(12))))
    return [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if a < b]


# ------------------------------------------------------------------ which event carries them


@pytest.mark.parametrize("stop", [(), ("nd",), ("never",)])
@pytest.mark.parametrize(("start", "raw"), [case[:2] for case in CASES])
def test_no_token_is_lost_and_none_comes_twice(
    start: ThinkingStart, raw: str, stop: tuple[str, ...]
) -> None:
    for seed in range(20):
        pieces = in_pieces(f"{raw} 🙂 and".encode(), seed)
        limit = 512 if seed % 2 else len(pieces)
        events = written(prepared(start, shown=True, stop=stop), pieces, limit=limit)
        drawn = written(prepared(start, stop=stop), pieces, limit=limit)
        end = events[-1]
        assert isinstance(end, End)
        tokens = [*tokens_of(events, ThinkingDelta), *tokens_of(events, Delta)]
        assert sorted(token.token for token in tokens) == list(range(end.usage.completion_tokens))
        assert text_of(events, Delta) == text_of(drawn, Delta)  # whatever else is asked for
        assert tokens_of(events, Delta) == tokens_of(drawn, Delta)
        assert not any(isinstance(event, ThinkingDelta) for event in drawn)
        assert all(event.text or event.tokens for event in events[:-1])  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(20))
def test_text_never_comes_before_its_tokens(seed: int) -> None:
    pieces = in_pieces("안녕 <end and <en 🙂 so on".encode(), seed)
    deltas = written(prepared(stop=("<end>",)), pieces)[:-1]
    texts = accumulate(delta.text for delta in deltas if isinstance(delta, Delta))
    known = accumulate(
        b"".join(token.piece for token in delta.tokens)
        for delta in deltas
        if isinstance(delta, Delta)
    )
    for text, bytes_so_far in zip(texts, known, strict=True):
        assert bytes_so_far.startswith(text.encode())


def test_markers_belong_to_the_thinking() -> None:
    events = written(prepared(shown=True), [b"<think>", b"hm", b"</th", b"ink>", b"\n", b"yes"])
    assert b"".join(t.piece for t in tokens_of(events, ThinkingDelta)) == b"<think>hm</think>"
    assert b"".join(t.piece for t in tokens_of(events, Delta)) == b"\nyes"
    assert text_of(events, ThinkingDelta) == "hm"


def test_a_lone_closing_marker_belongs_to_the_thinking() -> None:
    events = written(prepared(shown=True), [b"hm", b"</think>", b"yes"])
    assert b"".join(token.piece for token in tokens_of(events, ThinkingDelta)) == b"</think>"
    assert b"".join(token.piece for token in tokens_of(events, Delta)) == b"hmyes"


def test_text_and_thinking_of_one_token_keep_their_order() -> None:
    markers = ThinkingStart(control=frozenset({"[THINK]", "[/THINK]"}))
    events = OutputStream(prepared(markers, shown=True), 8, 0).push(b"a[THINK]b[/THINK] c")
    assert events == [Delta("a"), ThinkingDelta("b"), Delta(" c")]


def test_the_tokens_of_a_stop_string_come_before_the_end() -> None:
    events = written(prepared(stop=("<end>",)), [b"yes", b"<en", b"d>", b"more"])
    assert [event.text for event in events if isinstance(event, Delta)] == ["yes", ""]
    assert [token.piece for token in tokens_of(events, Delta)] == [b"yes", b"<en", b"d>"]


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("size", [50, 400, 20_000])
@pytest.mark.parametrize("count", [0, 1, 5, 60])
def test_numbers_are_those_of_a_log_softmax(size: int, count: int) -> None:
    row = np.random.default_rng(size).normal(0, 3, size).astype(np.float32)
    before = row.copy()
    expected = log_softmax(row)
    found = logprobs(row, 17, count)
    assert found.drawn == pytest.approx(expected[17], abs=1e-5)
    best = np.argsort(-row, kind="stable")[:count].tolist()
    assert [token for token, _ in found.top] == best
    assert [value for _, value in found.top] == pytest.approx(expected[best], abs=1e-5)
    np.testing.assert_array_equal(row, before)  # the next row may be drawn from it


def test_what_is_impossible_is_no_alternative() -> None:
    row = np.array([1.0, -np.inf, 1.0, -np.inf], np.float32)
    half = pytest.approx(-np.log(2))
    assert logprobs(row, 0, 4) == Logprobs(half, ((0, half), (2, half)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def starter() -> Driver:
    return Driver.of(STARTER, context_length=512)


def of_llama_cpp(driver: Driver, tokens: list[int], answer: list[int]) -> list[Row]:
    """The logits of a context of llama.cpp's own, before each token of the answer."""
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads = 512, 512, 512, 1
    context = llama_cpp.llama_init_from_model(driver.engine._model.handle, params)
    rows = []
    for given in (tokens, *([token] for token in answer[:-1])):
        cells = (llama_cpp.llama_token * len(given))(*given)
        assert not llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(cells, len(given)))
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        size = driver.engine._model.vocabulary.size
        rows.append(np.ctypeslib.as_array(logits, (size,)).copy())
    llama_cpp.llama_free(context)
    return rows


@pytest.mark.parametrize(
    "sampling",
    [
        {},
        {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 3},
        {"repeat_penalty": 1.5, "presence_penalty": 1.0},
    ],
)
def test_gguf_gives_the_numbers_of_the_model(starter: Driver, sampling: dict[str, Any]) -> None:
    """They are those before temperature, penalties and filters."""
    asked = asking("How do I stream an answer?", count=3, max_tokens=12, **sampling)
    reply = starter.ask(asked)
    tokens = tokens_of(reply.events, Delta)
    rows = of_llama_cpp(
        starter,
        starter.engine.prepare(asked).tokens.tolist(),
        [token.token for token in tokens],
    )
    check_numbers(tokens, rows, 3, 1e-3)


def test_asking_for_numbers_changes_no_answer(starter: Driver) -> None:
    question = "How do I stream an answer?"
    hot: dict[str, Any] = {"temperature": 1.5, "seed": 5}
    plain, asked = (
        starter.ask(asking(question, **hot)),
        starter.ask(asking(question, count=2, **hot)),
    )
    assert asked.text == plain.text
    assert not tokens_of(plain.events, Delta)
    assert len(tokens_of(asked.events, Delta)) == asked.end.usage.completion_tokens
    assert b"".join(token.piece for token in tokens_of(asked.events, Delta)) == plain.text.encode()


# ------------------------------------------------------------------ thinking, control tokens


SCRIPT = ["<think>", "h", "m", "</think>", "<s>", "y", "e", "s", "<|im_end|>"]


def thinking_text(reply: Reply) -> str:
    return text_of(reply.events, ThinkingDelta)


@pytest.mark.parametrize("kind", ["control", "user", "normal"])
def test_thinking_is_shown_to_who_asks_for_it(tmp_path: Path, kind: str) -> None:
    driver = say(tmp_path, kind, SCRIPT)
    reply = driver.ask(asking("hi", thinking=True, stop=("m",)))
    assert (thinking_text(reply), reply.text, reply.end.reason) == ("hm", "yes", "stop")
    cut = driver.ask(asking("hi", thinking=True, max_tokens=3))
    assert (thinking_text(cut), cut.text, cut.end.reason) == ("hm", "", "length")
    assert not thinking_text(driver.ask(asking("hi")))


@pytest.mark.parametrize("kind", ["control", "user", "normal"])
def test_control_tokens_reach_who_asks_for_them(tmp_path: Path, kind: str) -> None:
    driver = say(tmp_path, kind, SCRIPT)
    raw = driver.ask(asking("hi", keep_special=True, thinking=True))
    assert raw.text == "<think>hm</think><s>yes"  # all but the end
    assert (thinking_text(raw), raw.end.reason) == ("", "stop")
    assert driver.ask(asking("hi")).text == "yes"


def test_alternatives_are_spelled_also_the_end(tmp_path: Path) -> None:
    driver = say(tmp_path, "control", ["a", "<s>", "<|im_end|>"])
    reply = driver.ask(asking("hi", count=1))
    drawn = tokens_of(reply.events, Delta)
    assert [(token.piece, token.top[0].piece) for token in drawn] == [(b"a", b"a"), (b"", b"<s>")]
    assert [event.text for event in reply.events if isinstance(event, Delta)] == ["a", ""]
    vocabulary = driver.engine._model.vocabulary
    (end,) = vocabulary.tokenize("<|im_end|>")
    output = OutputStream(prepared(), 8, 0)
    (delta,) = output.push_token(ord("a"), vocabulary, Logprobs(-1.0, [(end, -2.0)]))
    assert isinstance(delta, Delta)
    assert delta.tokens[0].top[0].piece == b"<|im_end|>"
