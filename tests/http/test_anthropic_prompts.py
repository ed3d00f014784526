"""What a model is asked for a request of Anthropic's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.anthropic.models.request import CountRequest, MessagesRequest
from app.anthropic.translate.messages import image_sources, require_question
from app.anthropic.translate.prompt import prompt
from app.errors import InvalidRequest
from app.provider.types import (
    Constraint,
    ImagePart,
    Message,
    Prompt,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from tests.http.anthropic import USER, body

PICTURE = ImagePart(b"png", "ab", 2, 1)
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
}
TOOLS = [
    {"name": "f", "description": "does f", "input_schema": {"type": "object"}, "strict": True},
    {"name": "g", "input_schema": {}, "type": "custom"},
    {"name": "web_search", "type": "web_search_20250305", "max_uses": 3},
]


def prompted(*messages: dict[str, Any], **options: Any) -> Prompt:
    sent = MessagesRequest.model_validate_json(json.dumps(body(*messages, **options)))
    require_question(sent.messages, 100)
    return made(sent)


def made(sent: CountRequest) -> Prompt:
    images = [PICTURE for _ in image_sources(sent)]
    return asyncio.run(prompt(sent, images, None, "me"))


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


def test_results_of_tools_are_messages_of_their_own() -> None:
    found = prompted(
        {"role": "user", "content": [text("look"), text("at this"), IMAGE]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                text("I look."),
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "서울"}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "t2", "content": [IMAGE], "is_error": True},
                text("And now?"),
            ],
        },
    )
    assert found.messages == (
        Message("user", (TextPart("look"), TextPart("\nat this"), PICTURE)),
        Message(
            "assistant",
            (
                ThinkingPart("hm"),
                TextPart("I look."),
                ToolCallPart("t1", "f", '{"city": "서울"}'),
                ToolCallPart("t2", "g", "{}"),
            ),
        ),
        Message("tool", (ToolResultPart("t1", (TextPart("sunny"),)),)),
        Message("tool", (ToolResultPart("t2", (PICTURE,), is_error=True),)),
        Message.of("user", "And now?"),
    )


def test_system_texts() -> None:
    late = {"role": "system", "content": "Be brief."}
    found = prompted(USER, {"role": "assistant", "content": "ok"}, late, USER, system="Be kind.")
    roles = [(message.role, message.text) for message in found.messages]
    assert roles == [
        ("system", "Be kind."),
        ("user", USER["content"]),
        ("assistant", "ok"),
        ("developer", "Be brief."),
        ("user", USER["content"]),
    ]
    blocks = prompted(late, USER, system=[text("One."), text(""), text("Two.")]).messages
    assert [one.text for one in blocks[:2]] == ["One.\nTwo.", "Be brief."]
    assert [one.role for one in blocks[:2]] == ["system", "system"]


def test_tools() -> None:
    found = prompted(tools=TOOLS)
    assert found.tools == (Tool("f", "does f", '{"type": "object"}', strict=True), Tool("g"))


@pytest.mark.parametrize(
    ("sent", "choice"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice("auto")),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice("auto", parallel=False)),
        ({"type": "any"}, ToolChoice("required")),
        ({"type": "tool", "name": "g"}, ToolChoice("required", "g")),
        ({"type": "none"}, ToolChoice("none")),
    ],
)
def test_tool_choice(sent: dict[str, Any] | None, choice: ToolChoice) -> None:
    assert prompted(tools=TOOLS, tool_choice=sent).tool_choice == choice


@pytest.mark.parametrize(
    ("thinking", "shown", "budget", "wanted"),
    [
        (None, False, 0, False),
        ({"type": "disabled"}, False, 0, False),
        ({"type": "adaptive"}, True, None, True),
        ({"type": "enabled", "budget_tokens": 50}, True, 50, True),
        ({"type": "enabled", "budget_tokens": 50, "display": "omitted"}, False, 50, True),
    ],
)
def test_thinking(
    thinking: dict[str, Any] | None, shown: bool, budget: int | None, wanted: bool
) -> None:
    found = prompted(thinking=thinking)
    assert (found.thinking, found.thinking_budget) == (shown, budget)
    assert json.loads(found.template_variables)["enable_thinking"] == wanted


def test_effort_bounds_thinking_that_has_no_budget() -> None:
    found = prompted(thinking={"type": "adaptive"}, output_config={"effort": "low"})
    assert found.thinking_budget == 512


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_the_form_of_the_answer(field: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object", "title": "끝"}}
    value = {"format": form} if field == "output_config" else form
    found = prompted(**{field: value})
    assert found.constraint == Constraint("json_schema", '{"type": "object", "title": "끝"}')


def test_sampling() -> None:
    found = prompted(temperature=0, top_p=0.5, top_k=3, stop_sequences=["a"], max_tokens=7).sampling
    assert (found.temperature, found.top_p, found.top_k, found.max_tokens) == (0, 0.5, 3, 7)
    assert found.stop == ("a",)
    assert prompted(top_p=0).sampling.top_p > 0


TWICE = {"name": "f", "input_schema": {}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "prefill": ({"messages": [USER, {"role": "assistant", "content": "x"}]}, "/messages/1"),
    "too many": ({"messages": [USER] * 102}, "/messages"),
    "no words": ({"messages": [{"role": "user", "content": ""}]}, "/messages/0/content"),
    "two tools": ({"tools": [TWICE, TWICE]}, "/tools/0/name"),
    "no such tool": ({"tool_choice": {"type": "tool", "name": "x"}}, "/tool_choice/name"),
    "a tool not run": (
        {"tools": TOOLS[2:], "tool_choice": {"type": "tool", "name": "web_search"}},
        "/tool_choice/name",
    ),
    "no tools": ({"tools": TOOLS[2:], "tool_choice": {"type": "any"}}, "/tool_choice"),
    "a large budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
        "/thinking/budget_tokens",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_obeyed_is_refused(case: str) -> None:
    options, pointer = REFUSED[case]
    with pytest.raises(InvalidRequest) as refusal:
        prompted(**options)
    assert [found.pointer for found in refusal.value.errors] == [pointer]


def test_a_count_has_the_same_prompt() -> None:
    sent = body(USER, system="Be kind.", tools=TOOLS)
    counted = CountRequest.model_validate({k: v for k, v in sent.items() if k != "max_tokens"})
    asked = prompted(system="Be kind.", tools=TOOLS)
    found = made(counted)
    assert (found.messages, found.tools) == (asked.messages, asked.tools)
