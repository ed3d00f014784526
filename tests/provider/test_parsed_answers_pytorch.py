"""Formats through the PyTorch engine, whose tokenizer drops control tokens in a way of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import HARMONY, HERMES, HYPERCLOVAX_THINK, MISTRAL_ARGS
from app.provider.types import Event, Prompt
from tests.chat.answers import Answer
from tests.chat.parsing import CHANNEL_MARKS, Parsed
from tests.provider.pytorch_asking import engine_of, run
from tests.provider.scripted_answer import script_of
from tests.provider.scripted_folder import make_folder
from tests.provider.test_parsed_answers import (
    END,
    TURNS,
    asked,
    first_answer,
    free,
    parsed_of,
    source_of,
)
from tests.selection import matrix

__all__ = ["free"]  # a fixture


def _name(known: OutputFormat) -> str:
    return known.name


def _ask(folder: Path, known: OutputFormat, answer: Answer, prompt: Prompt) -> Parsed:
    control = sorted(known.markers - set(TURNS))
    script = script_of(answer.text, [*control, *(known.markers & set(TURNS))])
    words = ([*TURNS, *control], script.normal)
    make_folder(folder, source_of(known), [*script.tokens, END], words, END)
    engine = engine_of(folder)
    events: list[Event] = run(engine, prompt)[0]
    engine.close()
    return parsed_of(events, prompt)


@pytest.mark.parametrize(
    "known", [HARMONY, *matrix(HERMES, MISTRAL_ARGS, HYPERCLOVAX_THINK)], ids=_name
)
def test_a_call_comes_through_the_engine(tmp_path: Path, known: OutputFormat) -> None:
    answer = first_answer(known)

    parsed = _ask(tmp_path / known.name, known, answer, asked())

    assert [(name, json.loads(text)) for name, text in parsed.calls] == list(answer.calls)
    assert (parsed.content, parsed.thinking) == (answer.content, answer.thinking)
    assert parsed.end
    assert parsed.end.reason == "tool_calls"


@pytest.mark.parametrize("known", [HYPERCLOVAX_THINK, *matrix(HARMONY)], ids=_name)
def test_no_channel_shows_without_tools(tmp_path: Path, known: OutputFormat) -> None:
    answer = first_answer(known)

    parsed = _ask(tmp_path / known.name, known, answer, asked(tools=False, thinking=False))

    assert not parsed.thinking
    assert not any(mark in parsed.content for mark in CHANNEL_MARKS[known.name])
