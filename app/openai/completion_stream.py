"""Completions as server-sent events: ``text_completion`` objects, then ``[DONE]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.chat.choices import Choice
from app.openai.chunks import ChunkWriter, Fields
from app.openai.models.sampling import StreamOptions
from app.openai.translate.answers import AnswerHead, end_fields, usage_fields
from app.openai.translate.completions import KIND
from app.openai.translate.logprobs import completion_logprobs, text_of
from app.provider.types import Delta, End, Started, Token
from app.web.sse import Shown


class CompletionEncoder(ChunkWriter):
    """Writes one stream; ``echoed`` is what the ``n`` answers to each prompt begin with."""

    def __init__(
        self, head: AnswerHead, echoed: Sequence[str], n: int, options: StreamOptions
    ) -> None:
        super().__init__(head, KIND, options)
        self._echoed = echoed
        self._n = n
        self._begun: set[int] = set()
        self._offsets = Counter[int]()

    def event(self, event: Shown) -> str:
        """The pieces of an event."""
        match event:
            case Choice(index=index, event=Delta(text=text, tokens=tokens)):
                return self._begin(index) + self._piece(index, text, tokens)
            case Choice(index=index, event=End() as end):
                return self._begin(index) + self._text(index, "", None, end)
            case End(usage=usage):
                return self.last(usage_fields(usage, None))
            case Started():
                return self.begin(event)
            case _:
                return ""

    def _begin(self, index: int) -> str:
        echoed = self._echoed[index // self._n]
        if index in self._begun or not echoed:
            return ""
        self._begun.add(index)
        return self._text(index, echoed, None, None)

    def _piece(self, index: int, text: str, tokens: Sequence[Token]) -> str:
        if not (text or tokens):
            return ""
        logprobs = completion_logprobs(tokens, self._offsets[index]) if tokens else None
        self._offsets[index] += sum(len(text_of(token)) for token in tokens)
        return self._text(index, text, logprobs, None)

    def _text(self, index: int, text: str, logprobs: Fields | None, end: End | None) -> str:
        return self.choice({"index": index, "text": text, "logprobs": logprobs} | end_fields(end))
