"""A user of Anthropic's Python SDK, who knows nothing but the address: messages, tools, counts."""

import sys
from typing import Any, Literal

import anthropic
from anthropic import Anthropic
from pictures import red_square
from pydantic import BaseModel
from report import check, main

client = Anthropic(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=60)
MODEL = "starter"
HELLO: list[Any] = [{"role": "user", "content": "Hello! What are you?"}]
TOOL: Any = {
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Seoul", "Paris"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
GREEDY: Any = {"extra_body": {"temperature": 0}}
"""The SDK has no arguments for the sampling any more."""
NAMED: Any = {"type": "tool", "name": "get_weather"}

CALLER: Any = {
    "model": "caller",
    "max_tokens": 2_000,
    "thinking": {"type": "enabled", "budget_tokens": 1_024},
    "tools": [
        {
            "name": "get_weather",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": ["Seoul"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
        }
    ],
    **GREEDY,
}
"""For the model whose words are known: it chooses the tool, and the arguments follow."""


class Weather(BaseModel):
    """Small enough for a model that says anything."""

    city: Literal["Seoul", "Paris"]
    rain: bool


@check
def models_are_listed() -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


@check
def a_whole_message() -> None:
    message = client.messages.create(model=MODEL, messages=HELLO, max_tokens=16)
    assert (message.type, message.role, message.model) == ("message", "assistant", MODEL)
    assert message.stop_reason in {"end_turn", "max_tokens"}
    (block,) = message.content
    assert block.type == "text"
    assert block.text
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message._request_id


@check
def a_system_text_in_blocks() -> None:
    system: Any = [
        {"type": "text", "text": "You are brief.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "You are kind."},
    ]
    with_system = client.messages.create(
        model=MODEL, messages=HELLO, system=system, max_tokens=4, **GREEDY
    )
    without = client.messages.create(model=MODEL, messages=HELLO, max_tokens=4, **GREEDY)
    assert total_input(with_system.usage) > total_input(without.usage)


def total_input(usage: Any) -> int:
    """What Anthropic counts in three parts."""
    parts = (usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    return usage.input_tokens + sum(part or 0 for part in parts)


@check
def a_stream_of_events() -> None:
    events = list(client.messages.create(model=MODEL, messages=HELLO, max_tokens=16, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    assert total_input(events[0].message.usage) > 0
    assert events[0].message.content == []
    assert events[-2].delta.stop_reason in {"end_turn", "max_tokens"}
    assert events[-2].usage.output_tokens > 0


@check
def the_stream_helper() -> None:
    options: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 16, **GREEDY}
    with client.messages.stream(**options) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    whole = client.messages.create(**options)
    assert text == stream.get_final_text() == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


@check
def tokens_are_counted_without_an_answer() -> None:
    count = client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    with_tools = client.messages.count_tokens(model=MODEL, messages=HELLO, tools=[TOOL])
    message = client.messages.create(model=MODEL, messages=HELLO, max_tokens=1)
    assert count == total_input(message.usage)
    assert with_tools.input_tokens > count


@check
def a_tool_that_is_named() -> None:
    message = client.messages.create(
        model=MODEL, messages=HELLO, tools=[TOOL], tool_choice=NAMED, max_tokens=200
    )
    assert message.stop_reason == "tool_use"
    (block,) = [block for block in message.content if block.type == "tool_use"]
    assert block.id
    assert block.name == "get_weather"
    assert block.input["city"] in {"Seoul", "Paris"}


@check
def any_tool_and_its_result() -> None:
    message = client.messages.create(
        model=MODEL,
        messages=HELLO,
        tools=[TOOL],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        max_tokens=200,
    )
    (block,) = [block for block in message.content if block.type == "tool_use"]
    result: Any = {
        "type": "tool_result",
        "tool_use_id": block.id,
        "content": [{"type": "text", "text": "21 degrees"}],
    }
    turns = [
        *HELLO,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result, {"type": "text", "text": "And now?"}]},
    ]
    after = client.messages.create(
        model=MODEL, messages=turns, tools=[TOOL], tool_choice={"type": "none"}, max_tokens=16
    )
    assert [block.type for block in after.content] == ["text"]


@check
def a_tool_in_a_stream() -> None:
    with client.messages.stream(
        model=MODEL, messages=HELLO, tools=[TOOL], tool_choice=NAMED, max_tokens=200
    ) as stream:
        events = list(stream)
        final = stream.get_final_message()
    started = [e.content_block for e in events if e.type == "content_block_start"]
    assert started[-1].type == "tool_use"
    assert started[-1].name == "get_weather"
    assert any(event.type == "input_json" for event in events)
    assert final.stop_reason == "tool_use"
    assert final.content[-1].input["city"] in {"Seoul", "Paris"}


@check
def the_parse_helper() -> None:
    message = client.messages.parse(
        model=MODEL, messages=HELLO, output_format=Weather, max_tokens=200
    )
    assert isinstance(message.parsed_output, Weather)


@check
def a_tool_that_the_model_chooses() -> None:
    message = client.messages.create(messages=HELLO, **CALLER)
    thinking, text, call = message.content
    assert (thinking.type, text.type, call.type) == ("thinking", "text", "tool_use")
    assert thinking.thinking.strip() == "They ask for the weather."
    assert thinking.signature is not None
    assert text.text.strip() == "Let me look."
    assert call.input == {"city": "Seoul"}
    assert message.stop_reason == "tool_use"
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
    turns = [
        *HELLO,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    after = client.messages.create(messages=turns, **CALLER)
    assert total_input(after.usage) > total_input(message.usage)


@check
def thinking_and_a_chosen_tool_in_a_stream() -> None:
    with client.messages.stream(messages=HELLO, **CALLER) as stream:
        events = list(stream)
        final = stream.get_final_message()
    started = [event.index for event in events if event.type == "content_block_start"]
    assert started == [0, 1, 2]
    kinds = {event.type for event in events}
    assert {"thinking", "text", "input_json"} <= kinds, kinds
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use"]
    assert final.content[-1].input == {"city": "Seoul"}


@check
def a_picture() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": red_square()}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    message = client.messages.create(
        model="starter-vision", messages=[{"role": "user", "content": content}], max_tokens=8
    )
    assert message.content


@check
def a_stop_sequence_is_named() -> None:
    options: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 40, **GREEDY}
    text = client.messages.create(**options).content[0].text
    stop = text[4:7]
    message = client.messages.create(stop_sequences=[stop], **options)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", stop)
    assert "".join(block.text for block in message.content) == text[: text.index(stop)]


@check
def what_changes_nothing_is_taken() -> None:
    message = client.messages.create(
        model=MODEL,
        messages=HELLO,
        max_tokens=4,
        metadata={"user_id": "somebody"},
        service_tier="auto",
        extra_body={"top_k": 20, "top_p": 0.9, "temperature": 0.7},
        cache_control={"type": "ephemeral"},
        extra_headers={"anthropic-beta": "interleaved-thinking-2025-05-14"},
        extra_query={"beta": "true"},
    )
    assert message.stop_reason in {"end_turn", "max_tokens"}


@check
def thinking_may_be_asked_of_any_model() -> None:
    kinds: Any = ({"type": "enabled", "budget_tokens": 1_024}, {"type": "adaptive"})
    for thinking in (*kinds, {"type": "disabled"}):
        message = client.messages.create(
            model=MODEL, messages=HELLO, max_tokens=2_000, thinking=thinking
        )
        assert message.content[-1].type == "text"


@check
def an_unknown_model_is_not_found() -> None:
    error = refusal(anthropic.NotFoundError, model="claude-none", messages=HELLO)
    assert error.body["error"]["type"] == "not_found_error"


@check
def a_bad_request_says_what_is_wrong() -> None:
    error = refusal(
        anthropic.BadRequestError, model=MODEL, messages=HELLO, extra_body={"temperature": 9}
    )
    assert error.body["error"]["type"] == "invalid_request_error"
    assert "temperature" in error.body["error"]["message"]


@check
def a_prompt_that_is_too_long() -> None:
    turns = [{"role": "user", "content": "Hello there. " * 20_000}]
    error = refusal(anthropic.BadRequestError, model=MODEL, messages=turns)
    assert error.body["error"]["type"] == "invalid_request_error"


def refusal(kind: Any, **options: Any) -> Any:
    """The error with which a message is refused: what the SDK has for it, with a request id."""
    try:
        client.messages.create(max_tokens=16, **options)
    except anthropic.APIStatusError as error:
        assert isinstance(error, kind), repr(error)
        assert error.body["type"] == "error"
        assert error.request_id
        return error
    raise AssertionError("it was not refused")


@check
def a_stream_may_be_left() -> None:
    for _ in range(3):
        with client.messages.stream(model=MODEL, messages=HELLO, max_tokens=200) as stream:
            next(iter(stream))
    a_whole_message()


if __name__ == "__main__":
    main()
