"""Answers as they are made: bare text, as the tool server sent it, or server-sent events."""

from __future__ import annotations

import json
from typing import Any

from app.provider.types import Delta, End
from app.tool.errors import body_of
from app.web.error_text import error_sentence
from app.web.sse import EventStream, Shown, frame


class TextStream(EventStream):
    """Bare pieces of text. It has no form for anything else, so silences stay silent."""

    media_type = "text/plain"
    keep_alive = ""


class TextEncoder:
    """Writes the text of one answer."""

    def start(self) -> str:
        """Nothing."""
        return ""

    def event(self, event: Shown) -> str:
        """The text in an event; an answer that was cut off says so."""
        match event:
            case Delta(text=text):
                return text
            case End(reason="length"):
                return "\n[The answer was cut off: it reached the most tokens an answer has.]\n"
            case _:
                return ""

    def error(self, error: Exception, request_id: str) -> str:
        """A line at the end: nobody is to take the answer for whole."""
        return f"\n[The answer broke off: {error_sentence(error, request_id)}]\n"


class EventEncoder:
    """Writes one answer as events: ``delta`` with ``text``, then ``done`` or ``error``."""

    def __init__(self) -> None:
        self._text: list[str] = []

    def start(self) -> str:
        """Nothing."""
        return ""

    def event(self, event: Shown) -> str:
        """The events of the same meaning."""
        match event:
            case Delta(text=text) if text:
                self._text.append(text)
                return _event("delta", {"text": text})
            case End(reason=reason):
                return _event("done", {"result": "".join(self._text), "finish_reason": reason})
            case _:
                return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The ``error`` event."""
        return _event("error", body_of(error, request_id))


def _event(name: str, fields: dict[str, Any]) -> str:
    return frame(json.dumps(fields, ensure_ascii=False), event=name)
