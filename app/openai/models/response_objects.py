"""What ``/v1/responses`` gives: responses, and events of streams. They describe; dicts are sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.openai.models.answers import AnswerToken

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(BaseModel):
    """What the model said."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any] = Field(description="Always empty.")
    logprobs: list[AnswerToken] = Field(description="Empty unless `include` asks for them.")


class ReasoningText(BaseModel):
    """What the model thought."""

    type: Literal["reasoning_text"]
    text: str


class OutputMessage(BaseModel):
    """A text of the model."""

    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class ReasoningItem(BaseModel):
    """What the model thought before it answered."""

    type: Literal["reasoning"]
    id: str
    summary: list[Any] = Field(description="Always empty: the thinking is given as it is.")
    content: list[ReasoningText]


class FunctionCallItem(BaseModel):
    """A call: run it, and send a `function_call_output` with its `call_id`."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str = Field(description="A JSON object.")
    status: ItemStatus


OutputItem = Annotated[
    OutputMessage | ReasoningItem | FunctionCallItem, Field(discriminator="type")
]


class InputDetails(BaseModel):
    """Of the tokens of the input."""

    cached_tokens: int = Field(description="Those that had been computed before.")


class OutputDetails(BaseModel):
    """Of the tokens of the output."""

    reasoning_tokens: int = Field(description="Those of the thinking, by its share of the text.")


class ResponseUsage(BaseModel):
    """Tokens of one response."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseError(BaseModel):
    """Why a response has failed."""

    code: str
    message: str


class IncompleteDetails(BaseModel):
    """Why a response ends early."""

    reason: Literal["max_output_tokens"]


class ConversationReference(BaseModel):
    """The conversation that a request named."""

    id: str


class ResponseObject(BaseModel):
    """What a request asked for, and what has come of it so far."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Status
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    model: str
    output: list[OutputItem]
    usage: ResponseUsage | None
    background: bool
    conversation: ConversationReference | None
    frequency_penalty: float
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: dict[str, str | None]
    safety_identifier: str | None
    service_tier: Literal["default"]
    store: bool
    temperature: float
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]] = Field(description="Those that are run by the client.")
    top_logprobs: int
    top_p: float
    truncation: Literal["auto", "disabled"]
    user: None


class DeletedResponse(BaseModel):
    """A response that is gone."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class InputTokenCount(BaseModel):
    """How many tokens the model would read."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class ResponseEvent(BaseModel):
    """An event of a stream. Which fields it has beside these depends on its `type`."""

    type: str = Field(examples=["response.created", "response.output_text.delta"])
    sequence_number: int = Field(description="From 0 on, without gaps.")
    response: ResponseObject | None = None
    item: OutputItem | None = None
    part: OutputText | ReasoningText | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    delta: str | None = None
    text: str | None = None
    name: str | None = None
    arguments: str | None = None
    logprobs: list[AnswerToken] | None = None


EVENT_EXAMPLE = """\
event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1",…}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1",…,"delta":"Hell"}

event: response.completed
data: {"type":"response.completed","sequence_number":9,"response":{"id":"resp_1",…}}

"""


def event_documentation() -> dict[int | str, dict[str, Any]]:
    """How a route is described that also answers with the events of a response."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": "#/components/schemas/ResponseEvent"},
    }
    event = {
        "type": "object",
        "properties": {"event": {"type": "string"}, "data": data},
        "required": ["event", "data"],
    }
    return {
        200: {"content": {"text/event-stream": {"itemSchema": event, "example": EVENT_EXAMPLE}}}
    }


_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 40}},
        "required": ["city"],
    },
}

RESPONSE_EXAMPLES: dict[str, Any] = {
    "question": {"summary": "A question", "value": {"input": "Hello! What are you?"}},
    "stream": {
        "summary": "As it is made, with a system text for this response",
        "value": {
            "instructions": "You are a helpful guide to this server.",
            "input": [{"role": "user", "content": "How do I stream answers?"}],
            "max_output_tokens": 64,
            "stream": True,
        },
    },
    "tools": {
        "summary": "With a tool that must be called",
        "value": {
            "input": "How is the weather in Seoul?",
            "tools": [_WEATHER],
            "tool_choice": "required",
            "max_output_tokens": 200,
        },
    },
    "background": {
        "summary": "In the background",
        "value": {"input": "Hello! What are you?", "background": True},
    },
}
TOKENS_EXAMPLES: dict[str, Any] = {
    "question": {"summary": "A question", "value": {"input": "Hello! What are you?"}},
}
"""Bodies that work as they are."""
