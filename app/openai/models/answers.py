"""What chats give: whole answers, and the chunks of streams. They describe; dicts are sent."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

FinishReason = Literal["stop", "length", "tool_calls"]

STOP_REASON = Field(None, description="The text of `stop` that ended it; left out otherwise.")


class PromptDetails(BaseModel):
    """Of the prompt's tokens."""

    cached_tokens: int = Field(description="Those that had been computed before.")


class CompletionDetails(BaseModel):
    """Of the answer's tokens."""

    reasoning_tokens: int = Field(description="Those of the thinking.")


class Usage(BaseModel):
    """Tokens of one request; a prompt with several answers counts once."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = Field(
        description="null where another server runs the model and does not say."
    )
    completion_tokens_details: CompletionDetails | None = Field(
        None, description="Left out where it is not known how many tokens the thinking took."
    )


class LikelyToken(BaseModel):
    """A token that might have come."""

    token: str
    logprob: float
    bytes: list[int]


class AnswerToken(LikelyToken):
    """A token of the answer, with the likeliest ones at its place."""

    top_logprobs: list[LikelyToken]


class ChoiceLogprobs(BaseModel):
    """How likely the tokens of an answer were."""

    content: list[AnswerToken]
    refusal: None


class FunctionCall(BaseModel):
    """A function, and the arguments to call it with."""

    name: str
    arguments: str = Field(description="A JSON object.")


class AnswerToolCall(BaseModel):
    """A call of a tool: run it, and send what it returns in a `tool` message."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class AnswerMessage(BaseModel):
    """What the model said."""

    role: Literal["assistant"]
    content: str | None = Field(description="null where the answer only calls tools.")
    refusal: None
    reasoning_content: str | None = Field(None, description="What it thought before.")
    tool_calls: list[AnswerToolCall] | None = None


class ChatChoice(BaseModel):
    """One answer. ``length``: the most tokens cut it off, and JSON may be incomplete."""

    index: int
    message: AnswerMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason
    stop_reason: str | None = STOP_REASON


class ChatCompletion(BaseModel):
    """Whole answers to a chat."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str = Field(description="The model that answered, whatever it was called.")
    choices: list[ChatChoice]
    usage: Usage


class FunctionPiece(BaseModel):
    """The name comes once; the arguments are joined."""

    name: str | None = None
    arguments: str


class ToolCallPiece(BaseModel):
    """A piece of the call number ``index``; ``id`` and ``type`` come once."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionPiece


class ChatDelta(BaseModel):
    """What follows. The first of a choice has its role, the last has nothing."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallPiece] | None = None


class ChunkChoice(BaseModel):
    """A piece of one answer."""

    index: int
    delta: ChatDelta
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason | None
    stop_reason: str | None = STOP_REASON


class ChatCompletionChunk(BaseModel):
    """A piece of the answers."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice] = Field(description="Empty in the chunk with the usage.")
    usage: Usage | None = None


CHUNK_EXAMPLE = """\
data: {"id":"chatcmpl-1","object":"chat.completion.chunk",…,"choices":[{"index":0,"delta":\
{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-1",…,"choices":[{"index":0,"delta":{"content":"Hello"},…}]}

data: {"id":"chatcmpl-1",…,"choices":[{"index":0,"delta":{},…,"finish_reason":"stop"}]}

data: [DONE]

"""


def stream_documentation(chunk: str, example: str) -> dict[int | str, dict[str, Any]]:
    """How a route is described that also answers with chunks: an error may be the last one."""
    written = {"type": "string", "contentMediaType": "application/json"}
    events = [
        *(
            _event({**written, "contentSchema": _reference(each)})
            for each in (chunk, "ErrorAnswer")
        ),
        _event({"const": "[DONE]"}),
    ]
    schema = {"oneOf": events}
    return {200: {"content": {"text/event-stream": {"itemSchema": schema, "example": example}}}}


def _event(data: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
