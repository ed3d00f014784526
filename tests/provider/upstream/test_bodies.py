"""What is sent to servers of each kind, and what is refused because they would drop it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.chat.thinking import thinking_options
from app.provider.engines.upstream.chat_body import BodyWriter
from app.provider.engines.upstream.features import FEATURES, Features
from app.provider.errors import UnsupportedConstraint, UnsupportedInput
from app.provider.remote import RemoteModel, ServerKind
from app.provider.types import (
    Constraint,
    Message,
    Prompt,
    RawText,
    Sampling,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from tests.provider.pictures import noise

ASKED = (Message.of("user", "Hello"),)
TOOLS = (Tool("f", "does f", '{"type": "object"}'), Tool("g"))
SCHEMA = '{"type": "object"}'
KINDS = sorted(FEATURES)


def written(kind: ServerKind, prompt: Prompt, **features: Any) -> dict[str, Any]:
    remote = RemoteModel("box", "http://box/v1", "m", kind)
    known = FEATURES[kind].overridden(tuple(features.items()))
    writer = BodyWriter(remote, "m", known, 100)
    return writer.chat(prompt) if prompt.raw is None else writer.completion(prompt, prompt.raw)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_question_is_taken_by_every_kind(kind: ServerKind) -> None:
    """The defaults of this server were asked for by nobody."""
    body = written(kind, Prompt(ASKED, owner="my-owner"))
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.7, 100)
    assert ("top_k" in body) == FEATURES[kind].top_k
    assert ("cache_salt" in body) == FEATURES[kind].cache_salt
    assert "my-owner" not in str(body)


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_sent_by_the_servers_own_names_or_refused(kind: ServerKind) -> None:
    known = FEATURES[kind]
    options: list[tuple[Prompt, bool, str, Any]] = [
        (sampled(top_k=7), known.top_k, "top_k", 7),
        (sampled(min_p=0.5), known.min_p, "min_p", 0.5),
        (sampled(repeat_penalty=1.5), bool(known.repeat_penalty), known.repeat_penalty, 1.5),
        (sampled(logit_bias=((5, 1.0),)), known.logit_bias, "logit_bias", {"5": 1.0}),
        (Prompt(ASKED, logprobs=2), known.logprobs, "top_logprobs", 2),
        (Prompt(ASKED, thinking_budget=9), bool(known.thinking_budget), known.thinking_budget, 9),
        (
            Prompt(ASKED, template_variables='{"enable_thinking": false}'),
            known.template_variables,
            "chat_template_kwargs",
            {"enable_thinking": False},
        ),
    ]
    for prompt, taken, field, value in options:
        if taken:
            assert written(kind, prompt)[field] == value
        else:
            with pytest.raises(UnsupportedInput, match="The server box "):
                written(kind, prompt)


def sampled(**options: Any) -> Prompt:
    return Prompt(ASKED, Sampling(**options))


@pytest.mark.parametrize("kind", KINDS)
def test_constraints_go_where_the_server_looks_for_them(kind: ServerKind) -> None:
    body = written(kind, Prompt(ASKED, constraint=Constraint("json_schema", SCHEMA)))
    assert body["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA)
    for constraint, where in (
        (Constraint("regex", "a+"), FEATURES[kind].regex),
        (Constraint("lark", 'start: "a"'), FEATURES[kind].lark),
    ):
        if not where:
            with pytest.raises(UnsupportedConstraint, match="The server box keeps to no"):
                written(kind, Prompt(ASKED, constraint=constraint))
            continue
        field, _, key = where.partition(".")
        found = written(kind, Prompt(ASKED, constraint=constraint))[field]
        assert (found[key] if key else found) == constraint.source


@pytest.mark.parametrize("kind", KINDS)
def test_one_tool_is_named_or_sent_alone(kind: ServerKind) -> None:
    prompt = Prompt(ASKED, tools=TOOLS, tool_choice=ToolChoice("required", "g"))
    if not FEATURES[kind].required_tool:
        with pytest.raises(UnsupportedConstraint, match="cannot be made to call a tool"):
            written(kind, prompt)
        return
    body = written(kind, prompt)
    names = [tool["function"]["name"] for tool in body["tools"]]
    if FEATURES[kind].named_tool:
        assert names == ["f", "g"]
        assert body["tool_choice"] == {"type": "function", "function": {"name": "g"}}
    else:
        assert (names, body["tool_choice"]) == (["g"], "required")


def test_tools_that_may_not_be_called_are_not_sent() -> None:
    assert "tools" not in written(
        "vllm", Prompt(ASKED, tools=TOOLS, tool_choice=ToolChoice("none"))
    )


def test_all_parts_of_a_conversation_are_written() -> None:
    picture = noise(8, 8)
    conversation = (
        Message.of("developer", "Be brief"),
        Message("user", (TextPart("See: "), picture)),
        Message("assistant", (ThinkingPart("Hm"), ToolCallPart("1", "f", '{"a": 1}'))),
        Message("tool", (ToolResultPart("1", (TextPart("no"),), is_error=True),)),
        Message("assistant", (TextPart("Done"),)),
    )
    developer, user, call, result, answer = written("vllm", Prompt(conversation))["messages"]
    assert developer == {"role": "system", "content": "Be brief"}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]
    assert user["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert (call["content"], call["reasoning"]) == (None, "Hm")
    assert call["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    ]
    assert result == {"role": "tool", "tool_call_id": "1", "content": "Error: no"}
    assert answer == {"role": "assistant", "content": "Done"}


def test_pictures_are_refused_where_the_model_takes_none() -> None:
    seen = Prompt((Message("user", (noise(8, 8),)),))
    with pytest.raises(UnsupportedInput, match="The server box takes no pictures"):
        written("vllm", seen, images=False)
    shown = Prompt((Message("tool", (ToolResultPart("1", (noise(8, 8),)),)),))
    with pytest.raises(UnsupportedInput, match="in the result of a tool"):
        written("vllm", shown)
    assert written("sllm", shown)["messages"][0]["role"] == "tool"


def test_texts_to_continue() -> None:
    assert written("vllm", Prompt((), raw=RawText(tokens=(1, 2))))["prompt"] == [1, 2]
    with pytest.raises(UnsupportedInput, match="takes texts, not tokens"):
        written("generic", Prompt((), raw=RawText(tokens=(1, 2))))
    with pytest.raises(UnsupportedInput, match="takes no suffix"):
        written("vllm", Prompt((), raw=RawText("a", suffix="b")))


def test_a_feature_can_be_overridden_and_a_mistake_is_named() -> None:
    assert written("generic", sampled(top_k=7), top_k=True)["top_k"] == 7
    with pytest.raises(ValueError, match="no feature 'topk'"):
        Features().overridden((("topk", True),))
    with pytest.raises(ValueError, match="the feature regex is a text"):
        Features().overridden((("regex", True),))


def test_the_salt_of_an_owner_depends_on_the_servers_key() -> None:
    salts = [
        BodyWriter(RemoteModel("box", "http://box/v1", key=key), "m", Features(), 1).cache_salt(
            "me"
        )
        for key in ("one", "two", "one")
    ]
    assert salts[0] == salts[2] != salts[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_effort_of_thinking_is_said_in_the_servers_way(kind: ServerKind) -> None:
    known = FEATURES[kind]
    asked = Prompt(ASKED, template_variables=json.dumps(variables("low")), thinking_budget=512)
    if not (known.template_variables or known.reasoning_effort):
        with pytest.raises(UnsupportedInput, match="takes no variables"):
            written(kind, asked)
        return
    body = written(kind, asked)
    assert body.get("chat_template_kwargs", variables("low")) == variables("low")
    assert body.get("reasoning_effort", "low") == "low"
    sends_budget = bool(known.thinking_budget) and known.effort_and_budget
    assert (body.get(known.thinking_budget) == 512) == sends_budget
    if known.reasoning_effort:
        none = Prompt(ASKED, template_variables=json.dumps(variables("none")), thinking_budget=0)
        assert written(kind, none)["reasoning_effort"] == "none"


def variables(effort: str) -> dict[str, Any]:
    return thinking_options(effort).variables
