"""What ``/chat`` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.provider.types import Sampling
from app.web.schema import LONGEST_TEXT, WHOLE, Plain, Text, WireModel

DEFAULT = Sampling()


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


StopText = Annotated[Plain, Field(min_length=1, max_length=64)]
StopTexts = Annotated[list[StopText], Field(max_length=8)]


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class SamplingFields(WireModel):
    """How the answer is drawn; every field may be left out."""

    temperature: float = Field(
        DEFAULT.temperature, ge=0, le=2, description="0 always takes the likeliest token."
    )
    top_p: float = Field(
        DEFAULT.top_p, gt=0, le=1, description="Keep the likeliest tokens up to this sum; 1: all."
    )
    top_k: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        DEFAULT.top_k, description="Keep so many of the likeliest; 0: all."
    )
    min_p: float = Field(
        DEFAULT.min_p, ge=0, le=1, description="Drop tokens below this share of the likeliest."
    )
    repeat_penalty: float = Field(
        DEFAULT.repeat_penalty, gt=0, le=2, description="Above 1: say less again; 1: off."
    )
    presence_penalty: float = Field(
        DEFAULT.presence_penalty, ge=-2, le=2, description="For tokens the answer already has."
    )
    frequency_penalty: float = Field(
        DEFAULT.frequency_penalty, ge=-2, le=2, description="The same, for each time it has them."
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), WHOLE] | None = Field(
        None, description="The same seed draws the same answer."
    )
    max_tokens: Annotated[int, Field(ge=1, le=32768), WHOLE] | None = Field(
        None, description="Longest answer; otherwise DEFAULT_MAX_TOKENS."
    )
    stop: Annotated[
        StopTexts, BeforeValidator(_listed, json_schema_input_type=StopText | StopTexts)
    ] = Field([], description="End the answer before any of these texts.")


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
