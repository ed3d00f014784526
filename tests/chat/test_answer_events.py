"""Events of a parsed answer: tokens, retracted text, white space, the reason of the end."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator

import pytest

from app.chat.answer import parse_answer
from app.chat.parsers.convert_value import to_json
from app.chat.parsers.offered_tools import OfferedTools
from app.provider.types import (
    Delta,
    End,
    Event,
    FinishReason,
    Progress,
    Prompt,
    Started,
    ThinkingDelta,
    Token,
    Tool,
    ToolCallDelta,
    Usage,
)
from tests.chat.answers import ANSWERS, Answer, dumps, json_call
from tests.chat.parsing import collected, convert, prompt

USAGE = Usage(3, 4, 0)
CALL = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'


def token(number: int) -> Token:
    return Token(number, b"?", -1.0)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.format)
def test_every_token_is_carried_once(answer: Answer) -> None:
    events: list[Event] = [
        Delta(character, 0, (token(number),)) for number, character in enumerate(answer.text)
    ]

    parsed = collected(convert(answer.format, [*events, End("stop", USAGE)], prompt()))

    assert parsed.tokens == list(range(len(answer.text)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hermes", f"<tool_call>{json_call('save', {'text': 'a' * 40})}</tool_call>"),
        ("mistral_args", f"[TOOL_CALLS]save[ARGS]{dumps({'text': 'a' * 40})}"),
        ("harmony", f"<|channel|>commentary to=save<|message|>{dumps({'text': 'a' * 40})}"),
    ],
)
def test_arguments_come_as_they_are_written(name: str, text: str) -> None:
    pieces = [len(convert(name, [Delta(one) for one in text[:at]], prompt()))
              for at in range(len(text))]  # fmt: skip
    assert pieces[-1] > 40
    assert max(after - before for before, after in itertools.pairwise(pieces)) <= 2


def test_tokens_of_thinking_are_dropped_with_it() -> None:
    texts = ["<|channel|>", "analysis", "<|message|>", "hm", "<|end|>", "<|start|>", "assistant",
             "<|channel|>", "final", "<|message|>", "yes", "!"]  # fmt: skip
    events: list[Event] = [Delta(text, 0, (token(at),)) for at, text in enumerate(texts)]

    shown = convert("harmony", events, prompt(()))
    hidden = convert("harmony", events, prompt((), thinking=False))

    assert hidden == [Delta("yes", 0, (token(10),)), Delta("!", 0, (token(11),))]
    assert collected(shown).tokens == list(range(12))
    assert [event for event in shown if isinstance(event, Delta)] == hidden


def test_retracted_text_is_counted_as_it_was_released() -> None:
    events: list[Event] = [
        Delta(f"One {CALL} two "),
        Delta("three", retracted=len(f"One {CALL} two ")),
        Delta(f" {CALL}", retracted=len(f"One {CALL} two ")),
    ]
    end = End("stop", USAGE, len(f"One {CALL} two "), "x")

    parsed = collected(convert("hermes", [*events, end], prompt()))

    assert parsed.end
    assert (parsed.end.retracted, parsed.end.stop_string) == (len("One two"), "x")
    assert parsed.content == "One twothree"


def test_text_may_be_retracted_in_the_middle_of_a_delta_and_at_the_end() -> None:
    events: list[Event] = [Delta("a <tool"), Delta(" b c", retracted=len("a <tool b")), Delta("d")]

    parsed = collected(convert("hermes", [*events, End("stop", USAGE, 9)], prompt()))
    at_end = collected(convert("hermes", [Delta("abc <"), End("stop", USAGE, 5)], prompt()))

    assert (parsed.content, parsed.end) == ("a <tool b cd", End("stop", USAGE, 9))
    assert (at_end.content, at_end.end) == ("abc <", End("stop", USAGE, 5))


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (f"\n\n{CALL}\n", ""),
        (f"Look:\n\n{CALL}\n{CALL}\n\n", "Look:"),
        (f"a  b\n{CALL}\nc \n", "a  b\nc"),
        ("a  b \n", "a  b \n"),
        (" \n", " \n"),
    ],
)
def test_white_space_beside_calls_is_no_text(text: str, content: str) -> None:
    events: list[Event] = [Delta(one) for one in text]

    assert collected(convert("hermes", [*events, End("stop", USAGE)], prompt())).content == content


@pytest.mark.parametrize(
    ("text", "reason", "shown"),
    [
        (CALL, "stop", "tool_calls"),
        (CALL, "length", "length"),
        ("text", "stop", "stop"),
    ],
)
def test_the_reason_of_the_end(text: str, reason: FinishReason, shown: FinishReason) -> None:
    events = convert("hermes", [Delta(text), End(reason, USAGE)], prompt())

    assert events[-1] == End(shown, USAGE)


async def _stream(*events: Event) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


def _parsed(asked: Prompt, *events: Event) -> list[Event]:
    async def read() -> list[Event]:
        return [event async for event in parse_answer(_stream(*events), asked)]

    return asyncio.run(read())


def test_the_format_is_that_of_the_started_event() -> None:
    before, end = Progress("queued", 1), End("stop", USAGE)
    named = Started(3, 0, output_format="hermes")

    parsed = _parsed(prompt(), before, named, ThinkingDelta("hm"), Delta(CALL), end)
    plain = _parsed(prompt(), before, Started(3, 0), Delta(CALL), end)

    assert parsed[:3] == [before, named, ThinkingDelta("hm")]
    assert [type(event) for event in parsed[3:]] == [ToolCallDelta, ToolCallDelta, End]
    assert plain == [before, Started(3, 0), Delta(CALL), end]


def test_an_answer_without_calls_passes_unchanged() -> None:
    events: list[Event] = [
        Started(3, 0, output_format="hermes"),
        Delta("<tool_call>", 0),
        End("stop", USAGE),
    ]

    parsed = _parsed(prompt(()), *events)

    assert all(one is other for one, other in zip(parsed, events, strict=True))


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("1", {"type": "string"}, '"1"'),
        ("null", {"type": "string"}, '"null"'),
        ("null", {"type": ["string", "null"]}, "null"),
        ("None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "null"),
        ("1", {"type": "integer"}, "1"),
        ("1", {"type": "number"}, "1"),
        ("1.5", {"type": "integer"}, '"1.5"'),
        ("NaN", {"type": "number"}, '"NaN"'),
        ("1e999", {"type": "number"}, "1e999"),
        ("1e999", {"type": "integer"}, '"1e999"'),
        ("2.0", {"type": "integer"}, "2.0"),
        ("1", {"enum": [1, "2"]}, "1"),
        ("2", {"enum": [1, "2"]}, '"2"'),
        ("true", {"type": "boolean"}, "true"),
        ("False", {"type": "boolean"}, "false"),
        ("yes", {"type": "boolean"}, '"yes"'),
        ("[1, {}]", {"type": "array"}, "[1, {}]"),
        ("{'a': 1}", {"type": "object"}, "\"{'a': 1}\""),
        ("[" * 9999, {"type": "array"}, '"' + "[" * 9999 + '"'),
        ("2", {"enum": [1, 2]}, "2"),
        ("2", {"enum": ["1", "2"]}, '"2"'),
        ("2", {"const": 2}, "2"),
        ("날씨", {}, '"날씨"'),
        ('{"a": "글"}', {}, '{"a": "글"}'),
        ("3", None, "3"),
        ("3", {"anyOf": [{"type": "string"}, {}]}, "3"),
        ("3", {"type": [{"type": "string"}]}, "3"),
    ],
)
def test_a_value_becomes_what_its_schema_wants(text: str, schema: object, expected: str) -> None:
    assert to_json(text, schema) == expected


def test_references_in_a_schema_are_followed() -> None:
    text = {"type": "string"}
    schema = {
        "$defs": {"Name": text, "Same": {"$ref": "#/$defs/Name"}, "Loop": {"$ref": "#/$defs/Loop"}},
        "properties": {
            "name": {"$ref": "#/$defs/Same"},
            "maybe": {"anyOf": [{"$ref": "#/$defs/Name"}, {"type": "null"}]},
            "loop": {"$ref": "#/$defs/Loop"},
            "lost": {"$ref": "elsewhere"},
        },
    }
    tools = OfferedTools([Tool("f", "", json.dumps(schema)), Tool("g", "", "[")])

    assert tools.parameter("f", "name") == text
    assert to_json("1", tools.parameter("f", "maybe")) == '"1"'
    for name, key in [("f", "loop"), ("f", "lost"), ("f", "other"), ("g", "x")]:
        assert tools.parameter(name, key) is None
