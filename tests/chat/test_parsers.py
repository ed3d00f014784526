"""Tool calls and channels of every family, whatever the pieces of the answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.provider.formats.output_formats import OUTPUT_FORMATS
from tests.chat.answers import ANSWERS, Answer
from tests.chat.parsing import Parsed, parse


def check(parsed: Parsed, answer: Answer) -> None:
    assert parsed.content == answer.content
    assert parsed.thinking == answer.thinking
    assert [(name, json.loads(text)) for name, text in parsed.calls] == list(answer.calls)
    assert parsed.end
    assert parsed.end.reason == ("tool_calls" if answer.calls else "stop")


def test_every_format_has_an_answer() -> None:
    assert {answer.format for answer in ANSWERS} == {one.name for one in OUTPUT_FORMATS}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.format)
def test_an_answer_is_parsed_wherever_it_is_split(answer: Answer) -> None:
    check(parse(answer.format, [answer.text]), answer)
    check(parse(answer.format, answer.text), answer)
    for at in range(1, len(answer.text)):
        check(parse(answer.format, [answer.text[:at], answer.text[at:]]), answer)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ANSWERS), st.lists(st.integers(1, 12), min_size=1))
def test_an_answer_is_parsed_in_any_pieces(answer: Answer, lengths: list[int]) -> None:
    pieces: list[str] = []
    at = 0
    while at < len(answer.text):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(answer.text[at : at + length])
        at += length
    check(parse(answer.format, pieces), answer)
