"""Checks log-probabilities against logits that were computed in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from msgspec import structs

from app.provider.types import Delta, End, Event, Prompt, Token
from tests.provider.asking import prompt

Row = npt.NDArray[np.float32]
Reference = Callable[[list[int], list[int]], Iterable[Row]]
"""Of a prompt and an answer: the logits before each token of the answer."""

QUESTION = "How do I stream an answer?"
ASKED: tuple[tuple[int | None, dict[str, Any]], ...] = (
    (3, {}),
    (None, {}),
    (0, {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": 3}),
    (5, {"repeat_penalty": 1.7, "presence_penalty": 1.0, "frequency_penalty": 0.5}),
    (2, {"temperature": 1.0, "repeat_penalty": 1.3, "seed": 1}),
)
"""How many alternatives are asked for, and how tokens are drawn."""


def log_softmax(row: Row) -> npt.NDArray[np.float64]:
    """The plain formula, in double precision."""
    values = row.astype(np.float64)
    found: npt.NDArray[np.float64] = values - np.log(np.exp(values).sum())
    return found


def tokens_of(events: Iterable[object]) -> list[Token]:
    """The tokens that deltas of the answer carry."""
    return [token for event in events if isinstance(event, Delta) for token in event.tokens]


def check_engine(engine: Any, reference: Reference, tolerance: float = 1e-3) -> None:
    """Whatever is drawn and how, the numbers of answers in one batch are those of the model."""
    prompts = [
        structs.replace(prompt(QUESTION * (1 + job), max_tokens=12, **sampling), logprobs=count)
        for job, (count, sampling) in enumerate(ASKED)
    ]
    for asked, events in zip(prompts, _answers(engine, prompts), strict=True):
        tokens, end = tokens_of(events), events[-1]
        assert isinstance(end, End)
        if asked.logprobs is None:
            assert not tokens
            continue
        given = engine.prepare(asked).tokens.tolist()
        rows = reference(given, [token.token for token in tokens])
        check_numbers(tokens, rows, asked.logprobs, tolerance)
        assert len(tokens) == end.usage.completion_tokens


def _answers(engine: Any, prompts: list[Prompt]) -> list[list[Event]]:
    for job, one in enumerate(prompts):
        assert engine.admit(job, engine.prepare(one))
    events: list[list[Event]] = [[] for _ in prompts]
    while not all(found and isinstance(found[-1], End) for found in events):
        for job, event in engine.step():
            events[job].append(event)
    return events


def check_numbers(tokens: list[Token], rows: Iterable[Row], count: int, tolerance: float) -> None:
    """Compare the numbers of each token with the logits before it."""
    for token, row in zip(tokens, rows, strict=True):
        expected = log_softmax(row)
        assert token.logprob == pytest.approx(expected[token.token], abs=tolerance)
        named = [one.token for one in token.top]
        assert len(set(named)) == count
        values = [one.logprob for one in token.top]
        assert values == pytest.approx(np.sort(expected)[::-1][:count], abs=tolerance)
        assert values == pytest.approx(expected[named], abs=tolerance)
        assert values == sorted(values, reverse=True)
