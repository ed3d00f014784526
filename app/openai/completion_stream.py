"""Completions as server-sent events: ``text_completion`` objects, then ``[DONE]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec.json import encode

from app.chat.choices import Choice
from app.openai.chat_stream import DONE
from app.openai.errors import body_of
from app.openai.translate.answers import AnswerHead, usage_fields
from app.openai.translate.completions import KIND
from app.openai.translate.logprobs import completion_logprobs, text_of
from app.provider.types import Delta, End, Token
from app.web.sse import Shown, frame

Fields = dict[str, Any]


class CompletionEncoder:
    """Writes one stream; ``echoed`` is what the ``n`` answers to each prompt begin with."""

    def __init__(self, head: AnswerHead, echoed: Sequence[str], n: int, *, usage: bool) -> None:
        self._head = head.fields(KIND)
        self._echoed = echoed
        self._n = n
        self._usage = usage
        self._begun: set[int] = set()
        self._offsets = Counter[int]()

    def start(self) -> str:
        """Nothing comes before the first text."""
        return ""

    def event(self, event: Shown) -> str:
        """The pieces of an event."""
        match event:
            case Choice(index=index, event=Delta(text=text, tokens=tokens)):
                return self._begin(index) + self._piece(index, text, tokens)
            case Choice(index=index, event=End(reason=reason)):
                return self._begin(index) + self._chunk(index, "", None, reason)
            case End(usage=usage) if self._usage:
                return self._frame([], {"usage": usage_fields(usage, None)}) + DONE
            case End():
                return DONE
            case _:
                return ""

    def error(self, error: Exception, request_id: str) -> str:
        """The error object; no ``[DONE]`` follows, so that nobody takes the answer for whole."""
        return frame(_json(body_of(error, request_id)))

    def _begin(self, index: int) -> str:
        echoed = self._echoed[index // self._n]
        if index in self._begun or not echoed:
            return ""
        self._begun.add(index)
        return self._chunk(index, echoed, None, None)

    def _piece(self, index: int, text: str, tokens: Sequence[Token]) -> str:
        if not (text or tokens):
            return ""
        logprobs = completion_logprobs(tokens, self._offsets[index]) if tokens else None
        self._offsets[index] += sum(len(text_of(token)) for token in tokens)
        return self._chunk(index, text, logprobs, None)

    def _chunk(self, index: int, text: str, logprobs: Fields | None, reason: str | None) -> str:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return self._frame([choice], {"usage": None} if self._usage else {})

    def _frame(self, choices: list[Fields], more: Fields) -> str:
        return frame(_json({**self._head, "choices": choices, **more}))


def _json(fields: Fields) -> str:
    return encode(fields).decode()
