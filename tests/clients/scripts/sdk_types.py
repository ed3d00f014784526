"""Answers and events as they come, against the types of OpenAI's and Anthropic's SDKs.

The SDKs build their objects without looking. Here their types are checked as pydantic can: no
value is converted, and a field that the type does not have is an error, but for those in MORE.
"""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from anthropic.types import ErrorResponse, Message, MessageTokensCount, RawMessageStreamEvent
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pictures import red_square
from pydantic import TypeAdapter, ValidationError
from report import check, main

MORE = {
    "reasoning_content",  # thinking, as clients of open models read it
    "stop_reason",  # the text of stop that ended an answer, as vLLM calls it
}
MORE_OF_MODELS = {
    "name",
    "context_length",
    "max_model_len",  # the same, as vLLM calls it
    "tasks",
    "type",  # this and the next two as the Local LLM Interface calls them
    "engine",
    "size_gb",
    "encoder",
    "capabilities",
    "chat_template",
    "aliases",
    "prompt_template",
}
"""What is known of a model and no SDK has a field for."""
NOT_YET = ("choices", 0, "finish_reason")
"""Null in pieces of completions, as OpenAI sends it; the SDK has one type for whole and piece."""

HELLO = [{"role": "user", "content": "Hello! What are you?"}]
CHAT: dict[str, Any] = {"model": "starter", "messages": HELLO, "max_tokens": 12}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Seoul", "Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {"name": "get_weather", "parameters": PARAMETERS}
SCHEMA = {"name": "weather", "schema": PARAMETERS, "strict": True}
CALLING = {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required"}
LONG = {"max_tokens": 200}
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{red_square()}"}}
SEEN = [{"role": "user", "content": [{"type": "text", "text": "What?"}, PICTURE]}]
CHATS: list[dict[str, Any]] = [
    CHAT,
    {**CHAT, "n": 2},
    {**CHAT, "logprobs": True, "top_logprobs": 2},
    {**CHAT, **LONG, **CALLING},
    {**CHAT, **LONG, "response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    {**CHAT, "model": "starter-vision", "messages": SEEN},
    {**CHAT, **LONG, "model": "caller", "tools": CALLING["tools"]},
    {**CHAT, "stop": ["a"], "temperature": 0},
]
TOOL = {"name": "get_weather", "input_schema": PARAMETERS}
MESSAGES: list[dict[str, Any]] = [
    CHAT,
    {**CHAT, "system": "Be brief."},
    {**CHAT, **LONG, "tools": [TOOL], "tool_choice": {"type": "any"}},
    {**CHAT, **LONG, "model": "caller", "tools": [TOOL]},
    {**CHAT, "stop_sequences": ["a"], "temperature": 0},
    {**CHAT, "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
]


def ask(path: str, body: Any = None) -> str:
    """The body of the answer, also of one that refuses."""
    request = urllib.request.Request(
        sys.argv[1] + path,
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def events(path: str, body: dict[str, Any]) -> Iterator[str]:
    """The data of each event of a stream, without the comments."""
    for block in ask(path, {**body, "stream": True}).split("\n\n"):
        data = [line[6:] for line in block.split("\n") if line.startswith("data: ")]
        if data and data != ["[DONE]"]:
            yield "\n".join(data)


def strict(kind: Any, text: str, more: Any = MORE) -> Any:
    """Check the text, and give what it holds."""
    try:
        TypeAdapter(kind).validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        wrong = [
            fault
            for fault in error.errors(include_url=False)
            if (fault["type"] != "extra_forbidden" or fault["loc"][-1] not in more)
            and (fault["loc"] != NOT_YET or kind is not Completion or fault["input"] is not None)
        ]
        assert not wrong, f"{wrong}\nin {text}"
    return json.loads(text)


@check
def models() -> None:
    listed = json.loads(ask("/v1/models"))
    assert listed["object"] == "list"
    for model in listed["data"]:
        strict(Model, json.dumps(model), MORE_OF_MODELS)
    strict(Model, ask("/v1/models/starter"), MORE_OF_MODELS)


@check
def chats() -> None:
    for body in CHATS:
        strict(ChatCompletion, ask("/v1/chat/completions", body))


@check
def chunks() -> None:
    for body in CHATS:
        usage = {"stream_options": {"include_usage": True}}
        shown = [
            strict(ChatCompletionChunk, data)
            for data in events("/v1/chat/completions", {**body, **usage})
        ]
        assert len(shown) > 2
        assert shown[-1]["usage"]


@check
def completions() -> None:
    body = {"model": "starter", "prompt": "Hello", "max_tokens": 8}
    for one in (body, {**body, "n": 2}, {**body, "logprobs": 2}, {**body, "echo": True}):
        strict(Completion, ask("/v1/completions", one))
        assert [strict(Completion, data) for data in events("/v1/completions", one)]


@check
def errors_have_four_fields() -> None:
    for body in ({**CHAT, "model": "none"}, {**CHAT, "temperature": 9}, {}, {**CHAT, "audio": {}}):
        error = json.loads(ask("/v1/chat/completions", body))
        assert error.keys() == {"error"}
        assert error["error"].keys() == {"message", "type", "param", "code"}
        kinds = [type(value) for value in error["error"].values()]
        assert all(kind in {str, type(None)} for kind in kinds), error


@check
def messages() -> None:
    for body in MESSAGES:
        strict(Message, ask("/v1/messages", body))


@check
def message_events() -> None:
    for body in MESSAGES:
        shown = [
            strict(RawMessageStreamEvent, data)
            for data in events("/v1/messages", body)
            if json.loads(data)["type"] != "ping"
        ]
        assert shown[-1]["type"] == "message_stop"


@check
def counts() -> None:
    body = {name: value for name, value in MESSAGES[2].items() if name != "max_tokens"}
    strict(MessageTokensCount, ask("/v1/messages/count_tokens", body))


@check
def message_errors() -> None:
    for body in ({**CHAT, "model": "none"}, {**CHAT, "temperature": 9}, {}):
        strict(ErrorResponse, ask("/v1/messages", body))


if __name__ == "__main__":
    main()
