"""What ``/chat`` and its like take and give from v6 on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.v1.models.chat import AnswerMessage as PlainMessage
from app.v4.models import chat as v4
from app.v5.models import chat as v5
from app.v6.models.options import OPTION_EXAMPLES, OptionFields
from app.web.schema import WireModel

FinishReason = Literal["stop", "length", "cancelled", "tool_calls"]


class ChatRequest(OptionFields, v5.ChatRequest):
    """A message to a model, with pictures, in a conversation that the server keeps.

    Without a `conversation_id` it starts one, after the turns of `history`. Model, template,
    variables and system text stay with the conversation until a request names others; pictures
    stay in it and are shown again with every later question. Tools, constraint and thinking hold
    for this answer.
    """


class RegenerateRequest(OptionFields, v4.RegenerateRequest):
    """How to answer a question once more."""


class ToolCall(WireModel):
    """A call of a tool by the model."""

    id: str = Field(description="Names the call in its result.")
    name: str
    arguments: str = Field(description="A JSON object, as the model wrote it.")


class AnswerMessage(PlainMessage):
    """What the model said."""

    thinking: str = Field(description="What it thought before; empty: nothing.")
    tool_calls: list[ToolCall] = Field(description="What the client is to run; mostly empty.")


class ChatAnswer(v5.ChatAnswer):
    """A whole answer and where it is stored.

    ``finish_reason`` is ``length`` when ``max_tokens`` cut it off, ``tool_calls`` when the model
    waits for the results of its calls, and ``cancelled`` when it was stopped; its usage is not
    known then.
    """

    message: AnswerMessage
    finish_reason: FinishReason  # type: ignore[assignment]  # wider: it says of tool calls


class BackgroundAnswer(WireModel):
    """An answer that is made in the background."""

    id: str = Field(description="The same as message_id.")
    conversation_id: str
    message_id: str = Field(description="Of the answer.")
    parent_id: str = Field(description="Of the question.")
    model: str
    template: str | None = Field(description="The prompt template that is used; null: none.")
    status: Literal["generating"] = "generating"
    stream: str = Field(description="The path at which it can be read, now or later.")


EXAMPLES: dict[str, Any] = {**v5.EXAMPLES, **OPTION_EXAMPLES}
"""Bodies that work as they are."""
