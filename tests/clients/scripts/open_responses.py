"""The cases of Open Responses' compliance suite, written anew from its published description.

Its schema is stricter than OpenAI's SDK: numbers of sampling, the truncation and the tier are never
null, texts have annotations and logprobs, and every event has its fields.
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

from pictures import red_square
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from report import check, main

URL = f"{sys.argv[1]}/v1/responses"
MODEL, CALLER, SEES = "starter", "caller", "starter-vision"
SAY_HELLO: Any = [{"type": "message", "role": "user", "content": "Say hello in exactly 3 words."}]


class Strict(BaseModel):
    """Values are of the type that is written, and all fields are there."""

    model_config = ConfigDict(strict=True)


class Logprob(Strict):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[Any]


class TextPart(Strict):
    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Logprob]


class ThinkingPart(Strict):
    type: Literal["reasoning_text"]
    text: str


Progress = Literal["in_progress", "completed", "incomplete"]


class MessageItem(Strict):
    type: Literal["message"]
    id: str
    status: Progress
    role: Literal["assistant"]
    content: list[TextPart]


class CallItem(Strict):
    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: Progress


class ReasoningItem(Strict):
    type: Literal["reasoning"]
    id: str
    summary: list[Any]
    content: list[ThinkingPart]


Item = Annotated[MessageItem | CallItem | ReasoningItem, Field(discriminator="type")]


class Cached(Strict):
    cached_tokens: int


class Reasoned(Strict):
    reasoning_tokens: int


class Usage(Strict):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: Cached
    output_tokens_details: Reasoned


class FunctionTool(Strict):
    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class Format(Strict):
    type: Literal["text", "json_object", "json_schema"]


class Text(Strict):
    format: Format


class Failure(Strict):
    code: str
    message: str


class Response(Strict):
    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    incomplete_details: dict[str, Any] | None
    model: str
    previous_response_id: str | None
    instructions: str | None
    output: list[Item]
    error: Failure | None
    tools: list[FunctionTool]
    tool_choice: str | dict[str, Any]
    truncation: Literal["auto", "disabled"]
    parallel_tool_calls: bool
    text: Text
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    temperature: float
    reasoning: dict[str, Any] | None
    usage: Usage | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None


class Event(Strict):
    sequence_number: int


class ResponseEvent(Event):
    type: Literal[
        "response.created",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    response: Response


class ItemEvent(Event):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: Item


class PlacedEvent(Event):
    item_id: str
    output_index: int


class PartEvent(PlacedEvent):
    type: Literal["response.content_part.added", "response.content_part.done"]
    content_index: int
    part: Annotated[TextPart | ThinkingPart, Field(discriminator="type")]


class TextDelta(PlacedEvent):
    type: Literal["response.output_text.delta"]
    content_index: int
    delta: str
    logprobs: list[Logprob]


class TextDone(PlacedEvent):
    type: Literal["response.output_text.done"]
    content_index: int
    text: str
    logprobs: list[Logprob]


class ThinkingDelta(PlacedEvent):
    type: Literal["response.reasoning_text.delta"]
    content_index: int
    delta: str


class ThinkingDone(PlacedEvent):
    type: Literal["response.reasoning_text.done"]
    content_index: int
    text: str


class ArgumentsDelta(PlacedEvent):
    type: Literal["response.function_call_arguments.delta"]
    delta: str


class ArgumentsDone(PlacedEvent):
    type: Literal["response.function_call_arguments.done"]
    arguments: str


EVENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        ResponseEvent
        | ItemEvent
        | PartEvent
        | TextDelta
        | TextDone
        | ThinkingDelta
        | ThinkingDone
        | ArgumentsDelta
        | ArgumentsDone,
        Field(discriminator="type"),
    ]
)

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Seoul"]}},
        "required": ["city"],
    },
}


def sent(**body: Any) -> str:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    request = urllib.request.Request(URL, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def response(given: Any = SAY_HELLO, model: str = MODEL, **body: Any) -> Response:
    return Response.model_validate_json(sent(model=model, input=given, **body))


def events(given: Any = SAY_HELLO, model: str = MODEL, **body: Any) -> list[Any]:
    """All events, checked one by one; a stream may end with [DONE], and does not here."""
    text = sent(model=model, input=given, stream=True, **body)
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        event = EVENT.validate_json(data.removeprefix("data: "))
        assert name == f"event: {event.type}"
        found.append(event)
    return found


@check
def basic_response() -> None:
    made = response()
    assert made.output
    assert made.status == "completed"


@check
def streaming_response() -> None:
    found = events([{"type": "message", "role": "user", "content": "Count from 1 to 5."}])
    assert [event.sequence_number for event in found] == list(range(len(found)))
    assert found[-1].response.status == "completed"


@check
def system_prompt() -> None:
    pirate = {"type": "message", "role": "system", "content": "You are a pirate."}
    made = response([pirate, *SAY_HELLO])
    assert made.output
    assert made.status == "completed"


@check
def tool_calling() -> None:
    made = response("What is the weather like in Seoul?", CALLER, tools=[WEATHER])
    assert "function_call" in [item.type for item in made.output]


@check
def tool_calling_streaming() -> None:
    found = events("What is the weather like in Seoul?", CALLER, tools=[WEATHER])
    kinds = [event.type for event in found]
    assert "response.function_call_arguments.delta" in kinds
    assert "response.function_call_arguments.done" in kinds
    items = {(event.type, event.item.type) for event in found if hasattr(event, "item")}
    assert ("response.output_item.added", "function_call") in items
    assert ("response.output_item.done", "function_call") in items


@check
def image_input() -> None:
    parts = [
        {"type": "input_text", "text": "What do you see in this image? Answer in one sentence."},
        {"type": "input_image", "image_url": f"data:image/png;base64,{red_square()}"},
    ]
    made = response([{"type": "message", "role": "user", "content": parts}], SEES)
    assert made.output
    assert made.status == "completed"


@check
def multi_turn() -> None:
    turns = [("user", "My name is Alice."), ("assistant", "Hello Alice!"), ("user", "My name?")]
    made = response([{"type": "message", "role": who, "content": words} for who, words in turns])
    assert made.output
    assert made.status == "completed"


@check
def all_of_them_at_once() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: response(), range(8)))
    assert {one.status for one in made} == {"completed"}
    assert len({one.id for one in made}) == 8


if __name__ == "__main__":
    main()
