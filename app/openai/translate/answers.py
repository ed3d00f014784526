"""Answers of the domain as the wire has them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.chat.choices import total_usage
from app.chat.completion import Completion
from app.openai.translate.logprobs import chat_logprobs
from app.provider.types import End, ToolCallPart, Usage


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What every answer and every chunk of it begins with."""

    model: str
    id: str
    created: int = field(default_factory=lambda: int(time.time()))

    def fields(self, kind: str) -> dict[str, Any]:
        """The fields, of an object of that kind."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def new_head(model: str, prefix: str) -> AnswerHead:
    """The head of a new answer."""
    return AnswerHead(model, f"{prefix}-{uuid.uuid4().hex}")


def chat_completion(
    head: AnswerHead, completions: Sequence[Completion], *, logprobs: bool
) -> dict[str, Any]:
    """The whole answers to a chat."""
    choices = [
        _chat_choice(index, completion, logprobs=logprobs)
        for index, completion in enumerate(completions)
    ]
    usages = [completion.end.usage for completion in completions]
    total = total_usage(usages, len(usages))
    return {
        **head.fields("chat.completion"),
        "choices": choices,
        "usage": usage_fields(total, _reasoning(completions)),
    }


def _reasoning(completions: Sequence[Completion]) -> int | None:
    """Tokens of thinking; None where they were not asked for."""
    counted = [len(completion.thinking_tokens) for completion in completions]
    thought = any(completion.thinking for completion in completions)
    return None if thought and not any(counted) else sum(counted)


def _chat_choice(index: int, completion: Completion, *, logprobs: bool) -> dict[str, Any]:
    return {
        "index": index,
        "message": _message(completion),
        "logprobs": chat_logprobs(completion.tokens) if logprobs else None,
        **end_fields(completion.end),
    }


def _message(completion: Completion) -> dict[str, Any]:
    calls = completion.tool_calls
    text = completion.text
    # Clients take an empty text beside calls for an answer.
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls and not text.strip() else text,
        "refusal": None,
    }
    if completion.thinking:
        message["reasoning_content"] = completion.thinking
    if calls:
        message["tool_calls"] = [_tool_call(call) for call in calls]
    return message


def _tool_call(call: ToolCallPart) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def end_fields(end: End | None) -> dict[str, Any]:
    """Why an answer ended, None: it goes on; ``stop_reason`` is the stop text that ended it."""
    fields: dict[str, Any] = {"finish_reason": end.reason if end else None}
    return fields | ({"stop_reason": end.stop_string} if end and end.stop_string else {})


def usage_fields(usage: Usage, reasoning: int | None) -> dict[str, Any]:
    """Tokens of a request; ``reasoning`` of the answer's are thinking, None: not known."""
    fields: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens}
        if usage.cached_known
        else None,
    }
    if reasoning is not None:
        fields["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return fields
