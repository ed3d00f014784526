"""Answers that are cut, broken or hostile: no error, no lost text, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.provider.formats.call_syntax import OutputFormat
from app.provider.formats.output_formats import OUTPUT_FORMATS
from app.provider.types import FinishReason, Prompt, ToolChoice
from tests.chat.answers import (
    ANSWERS,
    DEEPSEEK,
    GEMMA,
    GLM,
    HARMONY,
    HERMES,
    HYPERCLOVAX,
    MISTRAL,
    Answer,
)
from tests.chat.parsing import CHANNEL_MARKS, parse, prompt


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hermes", "<tool_call>"),
        ("hermes", "<tool_call>\nI would call it.\n</tool_call>"),
        ("hermes", '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>'),
        ("hermes", '<tool_call>{"name": 3, "arguments": {}}</tool_call>'),
        ("hermes", '<tool_call>{"name": "now", "arguments": [1]}</tool_call>'),
        ("hermes", '<tool_call>{"name": "now", "arguments": "[1]"}</tool_call>'),
        ("hermes", "<tool_call>{'name': 'now', 'arguments': {}}</tool_call>"),
        ("hermes", '<tool_call>{"name": "now"'),
        ("hermes", '<tool_call>{"arguments": {"a": 1}}</tool_call>'),
        ("hermes", "<tool_call>" + "[" * 5000),
        ("hermes", '<tool_call>{"name":' + "[" * 5000),
        ("hermes", "a </tool_call> b <tool_call"),
        ("qwen3_coder", "<function=>x</function>"),
        ("qwen3_coder", "<function=unknown><parameter=a>1</parameter></function>"),
        ("glm", "<tool_call>unknown\n<arg_key>a</arg_key>"),
        ("llama3_json", "{"),
        ("llama3_json", '{"name": "now", "parameters": NaN}'),
        ("llama3_json", '{"name": "now", "parameters": "\\ud800"}'),
        ("pythonic", "[now("),
        ("pythonic", "[now(" + "(" * 5000 + ")" * 5001 + "]"),
        ("pythonic", "[save(text=" + "-" * 5000 + "1)]"),
        ("pythonic", "[save(size=" + "9" * 5000 + ")]"),
        ("pythonic", "[save(text=b'x')]"),
        ("pythonic", "[save(options={1: 2})]"),
        ("pythonic", "[save(tags={1, 2})]"),
        ("lfm2", "<|tool_call_start|>[unknown()]<|tool_call_end|>"),
        ("mistral_args", "[TOOL_CALLS]"),
        ("mistral_args", "[TOOL_CALLS]" + "now " * 200),
        ("mistral_args", "[TOOL_CALLS]unknown[ARGS]{}"),
        ("mistral_json", '[TOOL_CALLS][{"name": "unknown"}]'),
        ("phi4_mini", "functools[]"),
        ("gemma4", "<|tool_call>call:now{" + "[" * 5000 + "]" * 5000 + "}"),
        ("gemma4", "<|tool_call>call:now{a:}<tool_call|>"),
        ("gemma4", '<|tool_call>call:now{a:<|"|>b}<tool_call|>'),
        ("gemma4", "<|tool_call>call:unknown{}<tool_call|>"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_call_is_text(name: str, text: str) -> None:
    for pieces in ([text], list(text)):
        parsed = parse(name, pieces)
        assert (parsed.content, parsed.calls) == (text, [])
        assert parsed.end
        assert parsed.end.reason == "stop"


def test_what_breaks_inside_arguments_is_text_from_there_on() -> None:
    text = '<tool_call>{"name": "save", "arguments": {"text": "a", oops}}</tool_call> b'

    parsed = parse("hermes", text)

    assert parsed.calls == [("save", '{"text": "a", ')]
    assert parsed.content == "oops}}</tool_call> b"


def test_a_call_after_one_that_is_none_is_found() -> None:
    text = '<tool_call>nothing <tool_call>{"name": "now", "arguments": {}}</tool_call>'

    parsed = parse("hermes", text)

    assert parsed.calls == [("now", "{}")]
    assert parsed.content == "<tool_call>nothing"


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        ("hermes", '<tool_call>{"name": "save", "arguments": {"text": "a', '{"text": "a'),
        ("qwen3_coder", "<function=save><parameter=text>\nab", '{"text": "ab'),
        ("qwen3_coder", "<function=save><parameter=size>1", '{"size": '),
        ("qwen3_coder", "<function=save><parameter=size>1</parameter>", '{"size": 1'),
        ("glm", "<tool_call>save<arg_key>text</arg_key><arg_value>a</arg", '{"text": "a</arg'),
        ("mistral_args", '[TOOL_CALLS]save[ARGS]{"text', '{"text'),
        ("harmony", '<|channel|>commentary to=save<|message|>{"text"', '{"text"'),
    ],
)
def test_arguments_that_are_cut_are_the_beginning_of_json(
    name: str, text: str, arguments: str
) -> None:
    for pieces in ([text], list(text)):
        parsed = parse(name, pieces, reason="length")
        assert parsed.calls == [("save", arguments)]
        assert parsed.content == ""
        assert parsed.end
        assert parsed.end.reason == "length"


def test_without_parallel_calls_what_follows_the_first_is_text() -> None:
    asked = prompt(choice=ToolChoice(parallel=False))
    call = '<tool_call>{"name": "now", "arguments": {}}</tool_call>'

    assert parse("hermes", call + call, asked).content == call
    assert parse("hermes", call + call, asked).calls == [("now", "{}")]
    assert len(parse("pythonic", "[now(), now()]", asked).calls) == 1
    assert len(parse("mistral_args", "[TOOL_CALLS]now{}[TOOL_CALLS]now{}", asked).calls) == 1


@pytest.mark.parametrize("asked", [prompt(()), prompt(choice=ToolChoice("none"))])
@pytest.mark.parametrize("answer", [HERMES[1], GLM[0], DEEPSEEK[0], MISTRAL[0]])
def test_without_tools_the_answer_stays_as_it_is(answer: Answer, asked: Prompt) -> None:
    parsed = parse(answer.format, [answer.text], asked)

    assert (parsed.content, parsed.calls) == (answer.text, [])


@pytest.mark.parametrize("answer", [*HARMONY, *HYPERCLOVAX, GEMMA[2]])
def test_without_tools_channels_are_told_apart(answer: Answer) -> None:
    parsed = parse(answer.format, answer.text, prompt(()))
    hidden = parse(answer.format, answer.text, prompt((), thinking=False))

    assert parsed.thinking == answer.thinking
    assert parsed.content.startswith(answer.content)
    assert (hidden.content, hidden.thinking) == (parsed.content, "")
    assert not any(mark in parsed.content for mark in CHANNEL_MARKS[answer.format])


MARKS = sorted({mark for one in OUTPUT_FORMATS for mark in one.markers})
SYNTAX = [
    *MARKS, "{", "}", "[", "]", "(", ")", ",", ":", '"', "\\", "'", "=", ";", "\n", " ", "<", ">",
    '{"name": "now"', '"arguments": {', '"parameters": ', "now", "save", "weather(", "functools",
    "<function=save>", "</function>", "<parameter=text>", "</parameter>", "call:", "to=now", "```",
    "```json", "assistant", "analysis", "commentary", "final", "/think", "-> tool/function_call\n",
    "null", "1", "-", "e", "\\u", "city=", "날씨", "\x00", "\ud7ff", "\U0001f600",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(OUTPUT_FORMATS),
    st.lists(st.sampled_from([*SYNTAX, "text", "글"]), max_size=25).map("".join),
    st.integers(1, 9),
    st.sampled_from(["stop", "length"]),
)
def test_hostile_answers_lose_no_text_in_any_pieces(
    known: OutputFormat, text: str, length: int, reason: FinishReason
) -> None:
    pieces = [text[at : at + length] for at in range(0, len(text), length)]

    parsed = parse(known.name, pieces, reason=reason)

    whole = parse(known.name, [text], reason=reason)
    assert parsed == whole
    if known.channels:
        assert not any(mark in parsed.content for mark in CHANNEL_MARKS[known.name])
    elif not parsed.calls:
        assert parsed.content == text


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ANSWERS), st.integers(0, 400), st.integers(0, 8), st.sampled_from(SYNTAX))
def test_damaged_answers_are_the_same_in_any_pieces(
    answer: Answer, at: int, lost: int, put: str
) -> None:
    text = answer.text[:at] + put + answer.text[at + lost :]

    assert parse(answer.format, text) == parse(answer.format, [text])
