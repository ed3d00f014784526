"""The server-sent events of v6: those of v5, with ids from which a stream can be continued.

The id of an event is ``<message id>:<characters>``: how much of the answer's text has come with it.
Once there is thinking, its characters follow after one more colon. Besides the events of v5:

    thinking    {text}                           any number
    tool_call   {index, id, name, arguments}     each once, just before ``done``
    reset       {text, thinking}                 in place of all that came before
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from app.conversations.read_position import ReadPosition, Reset
from app.errors import InvalidRequest
from app.provider.types import Delta, ThinkingDelta, ToolCallDelta
from app.v2.services import events as v2
from app.v2.services.events import Fields
from app.web.sse import Shown

_EVENT_ID = re.compile(r"(?:([^:\s]{1,100}):)?([0-9]{1,15})(?::([0-9]{1,15}))?")


class EventEncoder(v2.EventEncoder):
    """Writes one stream of the answer ``message["id"]``, which a reader has up to ``position``."""

    def __init__(
        self,
        message: Fields,
        done: Callable[[Any], Fields],
        position: ReadPosition = ReadPosition(),  # noqa: B008 - it is frozen
    ) -> None:
        super().__init__(message, done)
        self._message_id = message["id"]
        self._text = position.text
        self._thinking = position.thinking or 0

    def event(self, event: Shown) -> str:
        """The event of the same meaning."""
        match event:
            case ThinkingDelta(text=text):
                self._thinking += len(text)
                return self._frame("thinking", {"text": text})
            case Delta(text=text):
                self._text += len(text)
            case Reset(text=text, thinking=thinking):
                self._text, self._thinking = len(text), len(thinking)
                return self._frame("reset", {"text": text, "thinking": thinking})
            case ToolCallDelta():
                names = {"index": event.index, "id": event.id, "name": event.name}
                return self._frame("tool_call", names | {"arguments": event.arguments})
        return super().event(event)

    def _next_id(self) -> str:
        thinking = f":{self._thinking}" if self._thinking else ""
        return f"{self._message_id}:{self._text}{thinking}"


def read_position(message_id: str, header: str | None, after: str | None) -> ReadPosition:
    """How much of the answer a client has, which it says in ``Last-Event-ID`` or in ``after``.

    The header wins: a browser sends it when it connects again to the same address. Raises
    InvalidRequest.
    """
    if header:
        return _parsed(message_id, header, "/header/Last-Event-ID", "Last-Event-ID")
    if after:
        return _parsed(message_id, after, "/after", "after")
    return ReadPosition()


def _parsed(message_id: str, value: str, pointer: str, name: str) -> ReadPosition:
    found = _EVENT_ID.fullmatch(value)
    if found is None:
        detail = f"{name} must be the id of an event, such as {message_id[:100]}:120, or 120 alone."
        raise InvalidRequest(pointer, detail)
    named, text, thinking = found.groups()
    if named is None:
        return ReadPosition(int(text), None if int(text) else 0)
    if named != message_id:
        detail = f"{name} is of the message {named}, not of the one in the address."
        raise InvalidRequest(pointer, detail)
    return ReadPosition(int(text), int(thinking or 0))
