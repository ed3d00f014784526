"""The response object: what its request said, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.conversations.store.answers import AnswerKey, StoredAnswer
from app.conversations.turn import Turn
from app.openai.models.responses import ResponseBody, TextFormat
from app.openai.translate import response_ids as ids
from app.openai.translate.response_items import answer_items
from app.provider.types import End, Part, Sampling, TextPart, ThinkingPart, Usage

Fields = dict[str, Any]

_SAMPLING = Sampling()

UNKNOWN: Fields = {
    "background": False,
    "conversation": None,
    "frequency_penalty": _SAMPLING.frequency_penalty,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": _SAMPLING.presence_penalty,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": _SAMPLING.temperature,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": _SAMPLING.top_p,
    "truncation": "disabled",
    "user": None,
}
"""What is said of the request of an answer that another dialect asked for."""


SHOWN_AGAIN = (
    "background",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "store",
    "temperature",
    "top_logprobs",
    "top_p",
    "truncation",
)
"""Fields of a request that the response has as they are."""


def request_fields(body: ResponseBody, conversation_id: str | None) -> Fields:
    """What the request said, as the response shows it again.

    ``conversation_id`` is that of the conversation that the request named.
    """
    named = ids.conversation_name(conversation_id) if conversation_id else None
    choice = body.tool_choice
    return UNKNOWN | {
        **{name: getattr(body, name) for name in SHOWN_AGAIN},
        "conversation": {"id": named} if named else None,
        "reasoning": body.reasoning.model_dump(),
        "text": {"format": _format(body.text.format)},
        "tool_choice": choice if isinstance(choice, str) else choice.model_dump(exclude_unset=True),
        "tools": [
            {"strict": False} | tool.model_dump() | {"strict": bool(tool.strict)}
            for tool in body.tools
            if tool.type == "function"
        ],
    }


def _format(wanted: TextFormat) -> Fields:
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    shown = wanted.model_dump(by_alias=True)
    return shown | {"name": wanted.name or "", "strict": bool(wanted.strict)}


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response before anything of its answer is known; ``created`` is in seconds."""

    conversation_id: str
    answer_id: str
    model: str
    created: int
    request: Fields

    @property
    def key(self) -> AnswerKey:
        """The answer that the response is."""
        return AnswerKey(self.conversation_id, self.answer_id)

    @property
    def id(self) -> str:
        """The id of the response."""
        return ids.response_id(self.conversation_id, self.answer_id)

    def fields(self, **more: Any) -> Fields:
        """The whole object; ``more`` takes the place of what is not known yet."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": None,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": [],
            "usage": None,
            **UNKNOWN,
            **self.request,
            **more,
        }


def head_of_turn(turn: Turn, request: Fields) -> ResponseHead:
    """The head of a turn that is about to be answered."""
    target = turn.target
    created = ids.made_at(target.answer_id)
    return ResponseHead(target.conversation_id, target.answer_id, target.model.id, created, request)


def head_of_stored(answer: StoredAnswer) -> ResponseHead:
    """The head of a stored answer."""
    row = answer.row
    shown = answer.request.get("shown", {})
    created = ids.made_at(row.id) if shown else row.created_at // 1000
    return ResponseHead(row.conversation_id, row.id, row.model or "", created, shown)


STATUSES = {"stop": "completed", "tool_calls": "completed", "length": "incomplete"}
"""Why an answer ended → the status of the response."""


def end_fields(end: End, parts: Sequence[Part], output: Sequence[Fields], completed: int) -> Fields:
    """What the end of an answer says: status, reasons, items, usage."""
    status = STATUSES.get(end.reason, "cancelled")
    cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "status": status,
        "incomplete_details": cut,
        "completed_at": completed if status == "completed" else None,
        "output": list(output),
        "usage": None if status == "cancelled" else usage_fields(end.usage, parts),
    }


def item_status(end: End) -> str:
    """The status of the items of an answer that has ended."""
    return "completed" if STATUSES.get(end.reason) == "completed" else "incomplete"


def usage_fields(usage: Usage, parts: Sequence[Part]) -> Fields:
    """Tokens of the request. Engines do not count those of the thinking: it has its share."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": _reasoning(usage, parts)},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _reasoning(usage: Usage, parts: Sequence[Part]) -> int:
    thinking = sum(len(part.text) for part in parts if isinstance(part, ThinkingPart))
    text = sum(len(part.text) for part in parts if isinstance(part, TextPart))
    return round(usage.completion_tokens * thinking / (thinking + text)) if thinking else 0


def stored_response(answer: StoredAnswer) -> Fields:
    """A stored response, whatever has become of it so far."""
    row, head = answer.row, head_of_stored(answer)
    if row.status == "generating":
        return head.fields()
    parts = answer.whole_parts
    if row.status == "failed":
        error = {"code": "server_error", "message": row.error or "The answer failed."}
        output = answer_items(head.key, parts, "incomplete") if row.content else []
        return head.fields(status="failed", error=error, output=output)
    stored: Any = row.finish_reason if row.status == "complete" else "cancelled"
    end = End(stored or "stop", Usage(**row.usage) if row.usage else Usage(0, 0, 0))
    output = answer_items(head.key, parts, item_status(end))
    return head.fields(**end_fields(end, parts, output, (row.finished_at or 0) // 1000))
