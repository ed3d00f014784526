"""What ``/chat`` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.v1.models.sampling import SamplingFields
from app.web.schema import LONGEST_TEXT, Plain, Text, WireModel


def _turn_only(role: object) -> object:
    if role == "system":
        raise ValueError("the history holds user and assistant turns; put this into 'system'")
    return role


class Turn(WireModel):
    """One earlier turn of the conversation."""

    role: Annotated[Literal["user", "assistant"], BeforeValidator(_turn_only)]
    content: Text


class Question(WireModel):
    """What is asked, and of whom."""

    message: Text = Field(description="What the user says now.")
    history: list[Turn] = Field(
        [], description="Earlier turns, oldest first; at most MAX_HISTORY_LENGTH."
    )
    system: Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None = Field(
        None, description="How the model shall behave."
    )
    model: Annotated[Plain, Field(min_length=1, max_length=200)] | None = Field(
        None, description="An id from GET /models; left out, the server's default model."
    )


class ChatRequest(SamplingFields, Question):
    """A message to a model, with what was said before."""


class Usage(WireModel):
    """Tokens of one exchange."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = Field(description="Of the prompt's tokens, those computed before.")


class AnswerMessage(WireModel):
    """What the model said."""

    role: Literal["assistant"] = "assistant"
    content: str


FinishReason = Literal["stop", "length"]


class ChatAnswer(WireModel):
    """A whole answer. ``finish_reason`` is ``length`` when ``max_tokens`` cut it off."""

    id: str
    model: str
    message: AnswerMessage
    finish_reason: FinishReason
    usage: Usage


EXAMPLES: dict[str, Any] = {
    "question": {"summary": "A question", "value": {"message": "Hello! What are you?"}},
    "korean": {
        "summary": "In Korean, and the same answer every time",
        "value": {"message": "안녕하세요! 누구세요?", "temperature": 0},
    },
    "conversation": {
        "summary": "With earlier turns, a system prompt and a limit",
        "value": {
            "message": "How do I stream answers?",
            "history": [
                {"role": "user", "content": "Hello!"},
                {"role": "assistant", "content": "Hello! How can I help you?"},
            ],
            "system": "You are a helpful guide to this server.",
            "temperature": 0.2,
            "seed": 7,
            "max_tokens": 128,
            "stop": ["\n\n"],
        },
    },
}
"""Bodies that work as they are."""
