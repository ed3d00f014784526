"""A response as server-sent events.

``sequence_number`` counts them without gaps, and which event has which number follows from the
answer alone: texts come in pieces of equal length, and a call comes whole. So a stream can be
continued behind any event, by whichever server, from what is stored: all events are made again, and
those that the client has are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.json import encode

from app.chat.answer_content import GrowingText
from app.conversations.answer_readers import StoredEnd
from app.conversations.errors import cause_of
from app.conversations.read_position import Reset
from app.openai.errors import describe
from app.openai.response_open_items import OpenItem, OpenText, OpenThinking
from app.openai.translate import response_items as items
from app.openai.translate.responses import ResponseHead, end_fields, item_status
from app.provider.types import (
    Delta,
    End,
    Part,
    TextPart,
    ThinkingDelta,
    ThinkingPart,
    ToolCallDelta,
    ToolCallPart,
)
from app.web.sse import Shown, frame

PIECE = 4
"""Characters of a piece of text."""

Fields = dict[str, Any]


def _no_logprobs() -> list[Fields]:
    return []


class ResponseEncoder:
    """Writes one stream; ``after`` is the number of the last event that the client has.

    ``logprobs`` gives those of the whole text, at its end.
    """

    def __init__(
        self,
        head: ResponseHead,
        after: int = -1,
        logprobs: Callable[[], list[Fields]] = _no_logprobs,
    ) -> None:
        self._head = head
        self._sent = after
        self._logprobs = logprobs
        self._clear()

    def _clear(self) -> None:
        """Nothing has been written of the answer."""
        self._sequence = 0
        self._thinking = GrowingText()
        self._text = GrowingText()
        self._says_something = False
        self._calls: dict[int, ToolCallPart] = {}
        self._output: list[Fields] = []
        self._open: OpenItem | None = None

    def start(self) -> str:
        """The two events that every stream begins with."""
        begun = self._head.fields()
        return self._event("response.created", response=begun) + self._event(
            "response.in_progress", response=begun
        )

    def event(self, event: Shown) -> str:
        """The events of what has come."""
        match event:
            case ThinkingDelta(text=text):
                return self._think(text)
            case Delta(text=text):
                return self._say(text)
            case Reset(text=text, thinking=thinking):
                self._clear()
                return self.start() + self._think(thinking) + self._say(text)
            case ToolCallDelta(index=index):
                self._calls[index] = ToolCallPart(event.id, event.name, event.arguments)
            case End():
                return self._finish(event)
        return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The last event of a response that has failed."""
        found = describe(cause_of(error), request_id)
        described = {"code": found.code or "server_error", "message": found.message}
        output = [*self._output, *([self._open.item("incomplete")] if self._open else [])]
        failed = self._head.fields(status="failed", error=described, output=output)
        # A server that was killed has stored less than the client may have: the end comes anyway.
        self._sequence = max(self._sequence, self._sent + 1)
        return self._event("response.failed", response=failed)

    # ---------------------------------------------------------------- pieces

    def _think(self, text: str) -> str:
        if self._says_something or not text:
            return ""  # it comes too late to be shown before the text
        self._thinking.add(text)
        begin = ""
        if self._open is None:
            self._open = OpenThinking(self._head.key, self._thinking)
            begin = self._begin(self._open)
        return begin + self._pieces(self._open)

    def _say(self, text: str) -> str:
        """White space before the text waits for it: beside calls it is none."""
        self._text.add(text)
        self._says_something = self._says_something or bool(text.strip())
        if not self._says_something:
            return ""
        begin = "" if isinstance(self._open, OpenText) else self._begin_text()
        return begin + self._pieces(self._open)

    def _begin_text(self) -> str:
        end = self._close("completed")
        self._open = OpenText(self._head.key, self._text, self._logprobs)
        return end + self._begin(self._open)

    def _begin(self, item: OpenItem) -> str:
        added = self._event(
            "response.output_item.added", output_index=self._at, item=item.item("in_progress", None)
        )
        return added + self._of_part("response.content_part.added", item, part=item.part(""))

    def _pieces(self, item: OpenItem | None, *, last: bool = False) -> str:
        """The pieces of its text that are complete, or all that is left."""
        if item is None:
            return ""
        left = item.text.since(item.shown)
        end = len(left) if last else len(left) - len(left) % PIECE
        item.shown += end
        more = item.more([])
        return "".join(
            self._of_part(f"response.{item.kind}.delta", item, delta=left[at : at + PIECE], **more)
            for at in range(0, end, PIECE)
        )

    def _close(self, status: str) -> str:
        """End the item that is open, if one is."""
        if (item := self._open) is None:
            return ""
        events = self._pieces(item, last=True)
        text = item.text.whole
        done = {"text": text, **item.more(item.logprobs)}
        events += self._of_part(f"response.{item.kind}.done", item, **done)
        events += self._of_part("response.content_part.done", item, part=item.part(text))
        return events + self._done(item.item(status))

    def _done(self, item: Fields) -> str:
        event = self._event("response.output_item.done", output_index=self._at, item=item)
        self._output.append(item)
        self._open = None
        return event

    # ---------------------------------------------------------------- the end

    def _finish(self, end: End) -> str:
        status = item_status(end)
        events = ""
        if not isinstance(self._open, OpenText) and not self._calls:
            events += self._begin_text()
        events += self._close(status)
        for at, call in self._calls.items():
            events += self._call(items.call_item(self._head.key, at, call, status))
        fields = end_fields(end, self._parts(), self._output, _ended_at(end))
        kind = "completed" if fields["status"] == "completed" else "incomplete"
        return events + self._event(f"response.{kind}", response=self._head.fields(**fields))

    def _call(self, item: Fields) -> str:
        begun = item | {"arguments": "", "status": "in_progress"}
        here = {"item_id": item["id"], "output_index": self._at}
        arguments = item["arguments"]
        done = {"name": item["name"], "arguments": arguments}
        return (
            self._event("response.output_item.added", output_index=self._at, item=begun)
            + self._event("response.function_call_arguments.delta", **here, delta=arguments)
            + self._event("response.function_call_arguments.done", **here, **done)
            + self._done(item)
        )

    def _parts(self) -> Sequence[Part]:
        text = (ThinkingPart(self._thinking.whole), TextPart(self._text.whole))
        return (*text, *self._calls.values())

    # ---------------------------------------------------------------- events

    @property
    def _at(self) -> int:
        """The place of the next item in the output."""
        return len(self._output)

    def _of_part(self, kind: str, item: OpenItem, **fields: Any) -> str:
        here = {"item_id": item.id, "output_index": self._at, "content_index": 0}
        return self._event(kind, **here, **fields)

    def _event(self, kind: str, **fields: Any) -> str:
        """The event, unless the client has it."""
        number, self._sequence = self._sequence, self._sequence + 1
        if number <= self._sent:
            return ""
        self._sent = number
        data = {"type": kind, "sequence_number": number, **fields}
        return frame(encode(data).decode(), event=kind)


def _ended_at(end: End) -> int:
    """Seconds since 1970."""
    if isinstance(end, StoredEnd):
        return (end.answer.row.finished_at or 0) // 1000
    return int(time.time())
