"""A chat as server-sent events: ``chat.completion.chunk`` objects, then ``[DONE]``.

The first chunk of a choice has its role. A tool call has its id, type and name once, in its first
chunk, and its ``index`` in each: clients join what comes twice.
"""

from __future__ import annotations

from typing import Any

from app.chat.choices import Choice
from app.openai.chunks import ChunkWriter, Fields
from app.openai.models.sampling import StreamOptions
from app.openai.translate.answers import AnswerHead, end_fields, usage_fields
from app.openai.translate.logprobs import chat_logprobs
from app.provider.types import Delta, End, Started, ThinkingDelta, ToolCallDelta
from app.web.sse import Shown


class ChatEncoder(ChunkWriter):
    """Writes one stream."""

    def __init__(self, head: AnswerHead, options: StreamOptions, *, logprobs: bool) -> None:
        super().__init__(head, "chat.completion.chunk", options)
        self._logprobs = logprobs
        self._begun: set[int] = set()
        self._calls: set[tuple[int, int]] = set()
        self._thought = False
        self._reasoning = 0

    def event(self, event: Shown) -> str:
        """The chunks of an event."""
        match event:
            case Choice(index=index, event=inner):
                return self._begin(index, inner) + self._choice(index, inner)
            case End():
                return self.last(usage_fields(event.usage, self._known_reasoning()))
            case Started():
                return self.begin(event)
            case _:
                return ""

    def _begin(self, index: int, event: object) -> str:
        """The role, in a chunk of its own."""
        if index in self._begun:
            return ""
        self._begun.add(index)
        text = "" if isinstance(event, Delta | End) else None
        return self._piece(index, {"role": "assistant", "content": text})

    def _choice(self, index: int, event: object) -> str:
        match event:
            case Delta(text=text, tokens=tokens):
                if not (text or tokens):
                    return ""
                return self._piece(index, {"content": text}, tokens)
            case ThinkingDelta(text=text, tokens=tokens):
                self._thought = self._thought or bool(text)
                self._reasoning += len(tokens)
                return self._piece(index, {"reasoning_content": text}) if text else ""
            case ToolCallDelta():
                return self._call(index, event)
            case End():
                return self._piece(index, {}, end=event)
        return ""

    def _call(self, index: int, piece: ToolCallDelta) -> str:
        first = (index, piece.index) not in self._calls
        begin = self._begin_call(index, piece) if first else ""
        if not (piece.arguments or piece.tokens):
            return begin
        call = {"index": piece.index, "function": {"arguments": piece.arguments}}
        return begin + self._piece(index, {"tool_calls": [call]}, piece.tokens)

    def _begin_call(self, index: int, piece: ToolCallDelta) -> str:
        """The chunk that names the tool; some clients lose arguments that come with it."""
        self._calls.add((index, piece.index))
        function = {"name": piece.name, "arguments": ""}
        call = {"index": piece.index, "id": piece.id, "type": "function", "function": function}
        return self._piece(index, {"tool_calls": [call]})

    def _piece(self, index: int, delta: Fields, logprobs: Any = (), end: End | None = None) -> str:
        shown = chat_logprobs(logprobs) if self._logprobs and logprobs else None
        return self.choice({"index": index, "delta": delta, "logprobs": shown} | end_fields(end))

    def _known_reasoning(self) -> int | None:
        """Tokens of thinking; None where there was some and its tokens did not come."""
        return self._reasoning if self._reasoning or not self._thought else None
