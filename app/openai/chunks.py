"""Chunks of a stream: objects that begin alike, as server-sent events, then ``[DONE]``."""

from __future__ import annotations

from typing import Any

from msgspec.json import encode

from app.openai.errors import body_of
from app.openai.translate.answers import AnswerHead
from app.web.sse import frame

DONE = frame("[DONE]")

Fields = dict[str, Any]


class ChunkWriter:
    """Writes the chunks of one stream. ``usage`` sends it in a last chunk, as the request asked."""

    def __init__(self, head: AnswerHead, kind: str, *, usage: bool) -> None:
        self._head = head.fields(kind)
        self._usage = usage

    def start(self) -> str:
        """Nothing: the first chunk of an answer depends on what the answer begins with."""
        return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The error object; no ``[DONE]`` follows, so that nobody takes the answer for whole."""
        return frame(encode(body_of(error, request_id)).decode())

    def choice(self, fields: Fields) -> str:
        """A chunk with a piece of one answer."""
        return self._chunk([fields], {"usage": None} if self._usage else {})

    def last(self, usage: Fields) -> str:
        """The end of the stream."""
        return (self._chunk([], {"usage": usage}) if self._usage else "") + DONE

    def _chunk(self, choices: list[Fields], more: Fields) -> str:
        return frame(encode({**self._head, "choices": choices, **more}).decode())
