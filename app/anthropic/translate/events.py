"""Provider events as the server-sent events of ``/v1/messages``.

    message_start         {message}                    with the usage of the prompt, first
    content_block_start   {index, content_block}       ┐
    content_block_delta   {index, delta}               │ any number of blocks: text, thinking,
    content_block_stop    {index}                      ┘ tool_use; one after the other
    message_delta         {delta, usage}               why it ended, and all tokens
    message_stop          {}                           the last
    ping                  {}                           anywhere: the request waits, or is read
    error                 {error, request_id}          in place of what would follow

Before the engine has accepted the prompt there is nothing to send but ``ping``, because
``message_start`` says how long the prompt is.
"""

from __future__ import annotations

import json
from typing import Any

from app.anthropic import errors
from app.anthropic.translate.answer import new_message_id, signature
from app.anthropic.translate.usage import end_usage, stop_fields, usage
from app.provider.types import Delta, End, Progress, Started, ThinkingDelta, ToolCallDelta
from app.web.sse import Shown, frame

Fields = dict[str, Any]


class EventEncoder:
    """Writes one stream."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._started: Started | None = None
        self._blocks = _Blocks()

    def start(self) -> str:
        """Nothing: ``message_start`` waits for the engine."""
        return ""

    def event(self, event: Shown) -> str:
        """The events of the same meaning."""
        match event:
            case Progress():
                return _event("ping", {})
            case Started():
                return self._start(event)
            case End():
                return self._blocks.close() + self._end(event)
            case _:
                return self._blocks.add(event)

    def error(self, error: Exception, request_id: str) -> str:
        """The ``error`` event."""
        return _event("error", errors.body_of(error, request_id))

    def _start(self, started: Started) -> str:
        self._started = started
        message: Fields = {
            "id": new_message_id(),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage(started.prompt_tokens, started.cached_tokens, 0),
        }
        return _event("message_start", {"message": message})

    def _end(self, end: End) -> str:
        fields = {"delta": stop_fields(end, self._started), "usage": end_usage(end)}
        return _event("message_delta", fields) + _event("message_stop", {})


class _Blocks:
    """Blocks of content: the open one is closed when another begins."""

    def __init__(self) -> None:
        self._count = 0
        self._open: str | int | None = None  # its type, or the number of its tool call
        self._thought = ""

    def add(self, event: Shown) -> str:
        """A piece of the answer; nothing for what is none."""
        match event:
            case Delta(text=text) if text:
                return self._text(text)
            case ThinkingDelta(text=text) if text:
                return self._thinking(text)
            case ToolCallDelta():
                return self._tool_call(event)
            case _:
                return ""

    def _text(self, text: str) -> str:
        begun = self._begin("text", {"type": "text", "text": ""})
        return begun + self._delta({"type": "text_delta", "text": text})

    def _thinking(self, text: str) -> str:
        begun = self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._thought += text
        return begun + self._delta({"type": "thinking_delta", "thinking": text})

    def _tool_call(self, call: ToolCallDelta) -> str:
        """The first piece has the id and the name."""
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        begun = self._begin(call.index, block)
        piece = {"type": "input_json_delta", "partial_json": call.arguments}
        return begun + (self._delta(piece) if call.arguments else "")

    def close(self) -> str:
        """End the open block, if there is one."""
        if self._open is None:
            return ""
        signed = ""
        if self._open == "thinking":
            signed = self._delta({"type": "signature_delta", "signature": signature(self._thought)})
            self._thought = ""
        self._open = None
        stopped = _event("content_block_stop", {"index": self._count})
        self._count += 1
        return signed + stopped

    def _begin(self, kind: str | int, block: Fields) -> str:
        if kind == self._open:
            return ""
        closed = self.close()
        self._open = kind
        start = {"index": self._count, "content_block": block}
        return closed + _event("content_block_start", start)

    def _delta(self, delta: Fields) -> str:
        return _event("content_block_delta", {"index": self._count, "delta": delta})


def _event(name: str, fields: Fields) -> str:
    data = json.dumps({"type": name} | fields, ensure_ascii=False, separators=(",", ":"))
    return frame(data, event=name)
