"""Calls are valid from their opening on, required ones from the start, through the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from app.provider.errors import UnsupportedConstraint
from app.provider.generation.constraints.answer_grammar import answer_grammar
from app.provider.types import Constraint, Prompt, Tool, ToolChoice
from tests.provider.asking import prompt
from tests.provider.gguf_driver import Driver
from tests.provider.scripted import CHATML, CONTROL, make

TAGS = ("<tool_call>", "</tool_call>")
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
REQUIRED = ToolChoice("required", parallel=False)


def tool(name: str = "add", *, strict: bool = False, **schema: Any) -> Tool:
    given = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], **schema}
    return Tool(name, "", json.dumps(given), strict)


@pytest.fixture(scope="module", params=["control", "user"])
def chatty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """It says hi and begins a call; after that it would say x without end."""
    script = ["h", "i", "<tool_call>", "x", "x"]
    words: dict[str, Any] = {"control": CONTROL, "user": ()}
    words[request.param] = (*words[request.param], *TAGS)
    path = tmp_path_factory.mktemp(request.param) / "model.gguf"
    made = make(path, CHATML, script, eos="<|im_end|>", ctx=8192, **words)
    return Driver.of(made, kv_cache_bytes=2**20, context_length=8192)


def asked(*tools: Tool, choice: ToolChoice | None = None, **fields: Any) -> Prompt:
    given = prompt("hi", max_tokens=200)
    return structs.replace(given, tools=tools, tool_choice=choice or ToolChoice(), **fields)


def test_a_free_answer_is_bound_from_the_opening_of_a_call_on(chatty: Driver) -> None:
    reply = chatty.ask(asked(tool(), choice=ToolChoice(parallel=False)))
    assert reply.text == f"hi{CALL}"
    assert reply.end.reason == "stop"


def test_a_required_call_begins_at_once(chatty: Driver) -> None:
    assert chatty.ask(asked(tool(), choice=REQUIRED)).text == CALL
    other = tool("other")
    named = ToolChoice("required", "other", parallel=False)
    assert chatty.ask(asked(tool(), other, choice=named)).text == CALL.replace("add", "other")


def test_with_a_schema_the_answer_is_a_call_or_matches_it(chatty: Driver) -> None:
    schema = Constraint("json_schema", '{"const": "done"}')
    text = chatty.ask(asked(tool(), choice=ToolChoice(parallel=False), constraint=schema)).text
    assert text in {CALL, '"done"'}


def test_without_a_choice_nothing_is_bound(chatty: Driver) -> None:
    reply = chatty.ask(asked(tool(), choice=ToolChoice("none")))
    assert reply.text.endswith("xxx")


def test_what_cannot_be_enforced_is_refused_of_a_strict_tool_and_left_out_of_others(
    chatty: Driver,
) -> None:
    odd: dict[str, Any] = {"not": {"required": ["b"]}, "additionalProperties": False}
    assert chatty.ask(asked(tool(**odd), choice=REQUIRED)).text == CALL
    with pytest.raises(UnsupportedConstraint, match=r"tool add: .*not"):
        chatty.ask(asked(tool(strict=True, **odd), tool("fine"), choice=REQUIRED))


def test_a_schema_beyond_the_bounds_lets_any_object_through(chatty: Driver) -> None:
    large = tool(properties={str(n): {} for n in range(1001)})
    table = chatty.engine._model.vocabulary.token_table()
    written = answer_grammar(asked(large, choice=REQUIRED), "hermes", table).grammar.source
    assert "properties" not in written
    strict = structs.replace(large, strict=True)
    with pytest.raises(UnsupportedConstraint, match="1001 properties"):
        answer_grammar(asked(strict, choice=REQUIRED), "hermes", table)


def test_a_tool_that_is_not_offered_cannot_be_chosen(chatty: Driver) -> None:
    with pytest.raises(UnsupportedConstraint, match="no tool b"):
        chatty.ask(asked(tool("a"), choice=ToolChoice("required", "b")))


def test_a_llama_call_is_told_by_its_beginning(tmp_path: Path) -> None:
    """Nothing opens it, so all of it up to the arguments is what shows it."""
    start = '{"name": "add", "parameters": '
    shown = "{% if tools %}{{ tools }}{# dictionary of argument name and its value #}{% endif %}"
    token = start.replace(" ", "\u0120")  # as vocabularies of bytes write the space
    words: dict[str, Any] = {"control": CONTROL, "normal": [token], "eos": "<|im_end|>"}
    made = make(tmp_path / "m", shown + CHATML, [token, "x"], **words)
    driver = Driver.of(made, kv_cache_bytes=2**20, context_length=2048)
    reply = driver.ask(asked(tool(), choice=ToolChoice(parallel=False)))
    assert reply.text == start + '{"a": 1}}'
