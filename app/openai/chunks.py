"""Chunks of a stream: objects that begin alike, as server-sent events, then ``[DONE]``."""

from __future__ import annotations

from typing import Any

from msgspec.json import encode

from app.openai.errors import body_of
from app.openai.models.sampling import StreamOptions
from app.openai.translate.answers import AnswerHead, usage_fields
from app.provider.types import Started, Usage
from app.web.sse import frame

DONE = frame("[DONE]")

Fields = dict[str, Any]


class ChunkWriter:
    """Writes the chunks of one stream, with the usage where ``options`` ask for it."""

    def __init__(self, head: AnswerHead, kind: str, options: StreamOptions) -> None:
        self._head = head.fields(kind)
        self._usage = bool(options.include_usage)
        self._continuous = self._usage and bool(options.continuous_usage_stats)
        self._started = Started(0, 0)
        self._pieces = 0

    def start(self) -> str:
        """Nothing: the first chunk of an answer depends on what the answer begins with."""
        return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The error object; no ``[DONE]`` follows, so that nobody takes the answer for whole."""
        return frame(encode(body_of(error, request_id)).decode())

    def choice(self, fields: Fields) -> str:
        """A chunk with a piece of one answer."""
        self._pieces += 1
        return self._chunk([fields], {"usage": self._usage_so_far()} if self._usage else {})

    def begin(self, started: Started) -> str:
        """Nothing: the tokens of the prompt go into the usage of the chunks."""
        self._started = started
        return ""

    def _usage_so_far(self) -> Fields | None:
        """What is known, if the request asked for it: of the answer, at least a token a piece."""
        if not self._continuous:
            return None
        started = self._started
        return usage_fields(Usage(started.prompt_tokens, self._pieces, started.cached_tokens), None)

    def last(self, usage: Fields) -> str:
        """The end of the stream."""
        return (self._chunk([], {"usage": usage}) if self._usage else "") + DONE

    def _chunk(self, choices: list[Fields], more: Fields) -> str:
        return frame(encode({**self._head, "choices": choices, **more}).decode())
