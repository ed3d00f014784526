"""What ``/chat`` takes and gives from v4 on, and what makes an answer again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.v1.models.chat import AnswerMessage, Usage
from app.v1.models.sampling import SamplingFields
from app.v3.models import chat as v3
from app.web.schema import Plain, WireModel

FinishReason = Literal["stop", "length", "cancelled"]

Id = Annotated[Plain, Field(min_length=1, max_length=100)]


class StoringFields(WireModel):
    """How a conversation is continued."""

    overflow: Literal["error", "drop_oldest", "summarise"] = Field(
        "drop_oldest",
        description="When the conversation no longer fits into the model's context: refuse (400), "
        "leave out the oldest exchanges, or let the model summarise them. `context` tells.",
    )
    when_busy: Literal["error", "wait"] = Field(
        "error",
        description="While another answer of this conversation is being made: 409, or wait for it.",
    )


class ChatRequest(StoringFields, v3.ChatRequest):
    """A message to a model, in a conversation that the server keeps.

    Without a `conversation_id` it starts one, after the turns of `history`. Model, template,
    variables and system text stay with the conversation until a request names others.
    """

    conversation_id: Id | None = Field(
        None, description="The conversation to go on with; left out, a new one."
    )
    parent_id: Id | None = Field(
        None,
        description="The answer that the message follows; left out, the last of the active branch. "
        "An earlier one makes a new branch; null makes another first question.",
    )


class RegenerateRequest(StoringFields, SamplingFields):
    """How to answer a question once more."""

    model: Annotated[Plain, Field(min_length=1, max_length=200)] | None = Field(
        None, description="An id from GET /models; left out, the conversation's."
    )


class Context(WireModel):
    """What of the conversation the model was shown."""

    prompt_tokens: int
    limit: int = Field(description="Tokens that the context holds, prompt and answer together.")
    dropped: list[str] = Field(description="Ids of the messages that were left out.")
    summarised: list[str] = Field(description="Ids of those that a summary stood for.")


class ChatAnswer(WireModel):
    """A whole answer and where it is stored.

    ``finish_reason`` is ``length`` when ``max_tokens`` cut it off and ``cancelled`` when it was
    stopped; its usage is not known then.
    """

    id: str = Field(description="The same as message_id.")
    conversation_id: str
    message_id: str = Field(description="Of the answer.")
    parent_id: str = Field(description="Of the question.")
    model: str
    template: str | None = Field(description="The prompt template that was used; null: none.")
    message: AnswerMessage
    finish_reason: FinishReason
    usage: Usage | None
    context: Context


EXAMPLES: dict[str, Any] = {
    "start": {
        "summary": "Start a conversation",
        "value": {"message": "Hello! What are you?"},
    },
    "template": {
        "summary": "Start one with a prompt template",
        "value": {"message": "How do I stream answers?", "template": "default"},
    },
    "earlier": {
        "summary": "Bring along what was said elsewhere",
        "value": {
            "message": "How do I stream answers?",
            "history": [
                {"role": "user", "content": "Hello!"},
                {"role": "assistant", "content": "Hello! How can I help you?"},
            ],
            "overflow": "summarise",
            "max_tokens": 128,
        },
    },
}
"""Bodies that work as they are."""
