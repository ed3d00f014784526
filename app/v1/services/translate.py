"""Between v1's wire models and the domain."""

from __future__ import annotations

from typing import cast

from app.chat.completion import Completion, new_answer_id
from app.chat.request import SAMPLING_FIELDS, ChatRequest, SamplingOptions
from app.provider import types
from app.v1.models import chat as wire
from app.v1.models.chat import AnswerMessage, ChatAnswer, FinishReason, Usage
from app.v1.models.sampling import SamplingFields


def chat_request(body: wire.ChatRequest) -> ChatRequest:
    """The request of a body."""
    return ChatRequest(
        message=body.message,
        history=messages(body.history),
        system=body.system,
        model=body.model,
        sampling=sampling_options(body),
    )


def messages(turns: list[wire.Turn]) -> tuple[types.Message, ...]:
    """Earlier turns, oldest first."""
    return tuple(types.Message.of(turn.role, turn.content) for turn in turns)


def sampling_options(body: SamplingFields) -> SamplingOptions:
    """The options that the body sets."""
    given = {name: getattr(body, name) for name in SAMPLING_FIELDS & body.model_fields_set}
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    return SamplingOptions(**given)


def chat_answer(model: str, completion: Completion) -> ChatAnswer:
    """A whole answer as v1 sends it."""
    return ChatAnswer(
        id=new_answer_id(),
        model=model,
        message=AnswerMessage(content=completion.text),
        # Never "cancelled": engines do not cancel answers.
        finish_reason=cast("FinishReason", finish_reason(completion.end.reason)),
        usage=Usage(**completion.end.usage.counts()),
    )


def finish_reason(reason: str | None) -> str | None:
    """Why an answer ended, in the words of v1 to v5, which know no tool calls."""
    return "stop" if reason == "tool_calls" else reason
