"""A chat as server-sent events: ``chat.completion.chunk`` objects, then ``[DONE]``.

The first chunk of a choice has its role. A tool call has its id, type and name once, in its first
chunk, and its ``index`` in each: clients join what comes twice.
"""

from __future__ import annotations

from typing import Any

from msgspec.json import encode

from app.chat.choices import Choice
from app.openai.errors import body_of
from app.openai.translate.answers import AnswerHead, usage_fields
from app.openai.translate.logprobs import chat_logprobs
from app.provider.types import Delta, End, ThinkingDelta, ToolCallDelta
from app.web.sse import Shown, frame

DONE = frame("[DONE]")

Fields = dict[str, Any]


class ChatEncoder:
    """Writes one stream. ``usage`` sends it in a last chunk, as the request asked."""

    def __init__(self, head: AnswerHead, *, usage: bool, logprobs: bool) -> None:
        self._head = head.fields("chat.completion.chunk")
        self._usage = usage
        self._logprobs = logprobs
        self._begun: set[int] = set()
        self._calls: set[tuple[int, int]] = set()
        self._thought = False
        self._reasoning = 0

    def start(self) -> str:
        """Nothing: the first chunk of a choice depends on what the choice begins with."""
        return ""

    def event(self, event: Shown) -> str:
        """The chunks of an event."""
        match event:
            case Choice(index=index, event=inner):
                return self._begin(index, inner) + self._choice(index, inner)
            case End():
                return (self._last(event) if self._usage else "") + DONE
            case _:
                return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The error object; no ``[DONE]`` follows, so that nobody takes the answer for whole."""
        return frame(_json(body_of(error, request_id)))

    def _begin(self, index: int, event: object) -> str:
        """The role, in a chunk of its own."""
        if index in self._begun:
            return ""
        self._begun.add(index)
        text = "" if isinstance(event, Delta | End) else None
        return self._chunk(index, {"role": "assistant", "content": text})

    def _choice(self, index: int, event: object) -> str:
        match event:
            case Delta(text=text, tokens=tokens):
                if not (text or tokens):
                    return ""
                return self._chunk(index, {"content": text}, tokens)
            case ThinkingDelta(text=text, tokens=tokens):
                self._thought = self._thought or bool(text)
                self._reasoning += len(tokens)
                return self._chunk(index, {"reasoning_content": text}) if text else ""
            case ToolCallDelta():
                return self._call(index, event)
            case End(reason=reason):
                return self._chunk(index, {}, reason=reason)
        return ""

    def _call(self, index: int, piece: ToolCallDelta) -> str:
        first = (index, piece.index) not in self._calls
        begin = self._begin_call(index, piece) if first else ""
        if not (piece.arguments or piece.tokens):
            return begin
        call = {"index": piece.index, "function": {"arguments": piece.arguments}}
        return begin + self._chunk(index, {"tool_calls": [call]}, piece.tokens)

    def _begin_call(self, index: int, piece: ToolCallDelta) -> str:
        """The chunk that names the tool; some clients lose arguments that come with it."""
        self._calls.add((index, piece.index))
        function = {"name": piece.name, "arguments": ""}
        call = {"index": piece.index, "id": piece.id, "type": "function", "function": function}
        return self._chunk(index, {"tool_calls": [call]})

    def _chunk(
        self, index: int, delta: Fields, logprobs: Any = (), reason: str | None = None
    ) -> str:
        shown = chat_logprobs(logprobs) if self._logprobs and logprobs else None
        choice = {"index": index, "delta": delta, "logprobs": shown, "finish_reason": reason}
        return self._frame([choice], {"usage": None} if self._usage else {})

    def _last(self, end: End) -> str:
        known = self._reasoning or not self._thought
        reasoning = self._reasoning if known else None
        return self._frame([], {"usage": usage_fields(end.usage, reasoning)})

    def _frame(self, choices: list[Fields], more: Fields) -> str:
        return frame(_json({**self._head, "choices": choices, **more}))


def _json(fields: Fields) -> str:
    return encode(fields).decode()
