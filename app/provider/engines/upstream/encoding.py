"""Vectors and scores that another server makes."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.item_length import Item, item_length
from app.provider.engines.upstream.chat_body import BodyWriter
from app.provider.engines.upstream.client import Client
from app.provider.engines.upstream.json_fields import Fields, count_of, section_of
from app.provider.engines.upstream.refusals import unavailable
from app.provider.errors import ContextOverflow, InputTooLong, UnsupportedInput
from app.provider.types import (
    Encode,
    Encoded,
    End,
    Event,
    ImagePart,
    PairPart,
    Started,
    TextPart,
    TokensPart,
    Usage,
)

MOST_NUMBERS = 2**16
"""Of one vector."""

_SHARE = 16
"""Tokens of a text beside those of its letters, where the tokens of several are divided."""

Vector = NDArray[np.float32]


class Encoding:
    """Encodes with one model. ``length`` is the most tokens of an item."""

    def __init__(self, client: Client, writer: BodyWriter, length: int) -> None:
        self._client = client
        self._writer = writer
        self._length = length
        self._server = writer.remote.server

    async def run(self, job: Encode) -> AsyncGenerator[Event, None]:
        """Encode all items; raises ProviderError."""
        scores = "rerank" in self._writer.remote.tasks
        if any(isinstance(item, PairPart) != scores for item in job.items):
            wanted = "pairs of texts" if scores else "single texts or pictures"
            raise UnsupportedInput(f"This model takes {wanted}.")
        try:
            made = await (self._scores(job) if scores else self._vectors(job))
        except ContextOverflow as error:
            raise self._overflow(error, len(job.items)) from None
        vectors, total = made
        yield Started(total, 0, context_length=self._length)
        for index, tokens in enumerate(_divided(total, job.items)):
            yield Encoded(index, vectors[index], tokens)
        yield End("stop", Usage(total, 0, 0))

    def _overflow(self, error: ContextOverflow, items: int) -> ContextOverflow | InputTooLong:
        limit = error.limit or self._length
        needed = max(error.needed, limit + 1)
        return InputTooLong(0, needed, limit) if items == 1 else ContextOverflow(needed, limit)

    # ---------------------------------------------------------------- vectors

    async def _vectors(self, job: Encode) -> tuple[list[bytes], int]:
        self._require(self._writer.features.embeddings, "makes no vectors")
        answer = await self._client.post("/v1/embeddings", self._embeddings_body(job))
        rows = self._rows(answer, "data", len(job.items))
        finished = [self._finished(row.get("embedding"), job) for row in rows]
        return finished, _prompt_tokens(answer)

    def _embeddings_body(self, job: Encode) -> Fields:
        fields: Fields = {
            "model": self._writer.model,
            "input": self._inputs(job),
            "encoding_format": "base64" if self._is_ours else "float",
        }
        if self._is_ours:
            fields |= {"input_type": "none", "normalized": job.normalize}
        if any(isinstance(item, TokensPart) for item in job.items) and self._is_ours:
            fields["tokens"] = "model"
        return fields | self._truncation(job)

    def _inputs(self, job: Encode) -> list[Any]:
        """The items in one form: texts, tokens, or objects where there are pictures."""
        if not any(isinstance(item, ImagePart) for item in job.items):
            return [_input(item, job.prompt) for item in job.items]
        self._require(self._writer.features.image_embeddings, "makes no vectors of pictures")
        return [
            {"image": item.data_url}
            if isinstance(item, ImagePart)
            else {"text": _input(item, job.prompt)}
            for item in job.items
        ]

    def _finished(self, sent: Any, job: Encode) -> bytes:
        """A vector, cut and with the length 1 as far as the job asks for it."""
        vector = self._vector(sent)
        if job.dimensions and job.dimensions > len(vector):
            raise UnsupportedInput(
                f"Vectors of this model have {len(vector)} dimensions, fewer than {job.dimensions}."
            )
        vector = vector[: job.dimensions]
        norm = float(np.linalg.norm(vector))
        if job.normalize and norm > 0:
            vector = vector / np.float32(norm)
        return vector.astype("<f4").tobytes()

    def _vector(self, sent: Any) -> Vector:
        try:
            if isinstance(sent, str):
                vector = np.frombuffer(base64.b64decode(sent, validate=True), "<f4")
            else:
                vector = np.asarray(sent, np.float32)
        except (ValueError, TypeError, binascii.Error):
            raise unavailable(self._server, "gave a vector that is none") from None
        if vector.ndim != 1 or not 0 < len(vector) <= MOST_NUMBERS or not np.isfinite(vector).all():
            raise unavailable(self._server, "gave a vector that is none")
        return vector

    # ---------------------------------------------------------------- scores

    async def _scores(self, job: Encode) -> tuple[list[bytes], int]:
        """Scores of pairs, a request for each run of pairs with the same query."""
        self._require(self._writer.features.rerank, "ranks nothing")
        pairs = [item for item in job.items if isinstance(item, PairPart)]
        found: list[bytes] = []
        total = 0
        for query, documents in groupby(pairs, key=lambda pair: pair.query):
            texts = [pair.document for pair in documents]
            answer = await self._client.post("/v1/rerank", self._rerank_body(job, query, texts))
            rows = self._rows(answer, "results", len(texts))
            found += [struct.pack("<d", self._score(row, job)) for row in rows]
            total += _prompt_tokens(answer)
        return found, total

    def _rerank_body(self, job: Encode, query: str, documents: list[str]) -> Fields:
        fields: Fields = {
            "model": self._writer.model,
            "query": query,
            "documents": documents,
            "top_n": len(documents),
        }
        if self._is_ours:
            fields |= {"raw_scores": job.raw_scores, "truncate": job.truncate}
            return fields | ({"instruction": job.prompt} if job.prompt else {})
        self._require(not job.prompt, "takes no instruction for ranking")
        raw = self._writer.features.raw_scores
        self._require(raw or not job.raw_scores, "gives scores from 0 to 1 only")
        return fields | self._truncation(job)

    def _score(self, row: Fields, job: Encode) -> float:
        value = row.get("relevance_score", row.get("score"))
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise unavailable(self._server, "gave a score that is none")
        logit = self._writer.features.raw_scores and not job.raw_scores
        return 1 / (1 + math.exp(-max(-700.0, min(value, 700.0)))) if logit else float(value)

    # ---------------------------------------------------------------- what both share

    @property
    def _is_ours(self) -> bool:
        return self._writer.features.truncate == "truncate"

    def _truncation(self, job: Encode) -> Fields:
        """What cuts long items; a server that has no such option refuses them."""
        field = self._writer.features.truncate
        if not field or not job.truncate:
            return {}
        return {field: True if self._is_ours else -1}

    def _rows(self, answer: Any, name: str, count: int) -> list[Fields]:
        """The rows of an answer in the order of the items; raises EngineUnavailable."""
        sent = answer.get(name) if isinstance(answer, dict) else None
        rows = [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []
        by_index = {one.get("index"): one for one in rows}
        if set(by_index) != set(range(count)):
            raise unavailable(self._server, "did not encode all inputs")
        return [by_index[index] for index in range(count)]

    def _require(self, known: bool, what: str) -> None:
        if not known:
            raise UnsupportedInput(f"The server {self._server} {what}.")


def _input(item: Item, prompt: str) -> str | list[int]:
    if isinstance(item, TokensPart):
        return list(item.tokens)
    return prompt + item.text if isinstance(item, TextPart) else ""


def _prompt_tokens(answer: Any) -> int:
    return count_of(section_of(answer, "usage"), "prompt_tokens") or 0


def _divided(total: int, items: Sequence[Item]) -> Iterator[int]:
    """The tokens of each item, as their lengths let expect: the server says the sum alone."""
    sizes = [_SHARE + (0 if isinstance(item, ImagePart) else item_length(item)) for item in items]
    whole, given, passed = sum(sizes), 0, 0
    for size in sizes:
        passed += size
        share = total * passed // whole - given
        given += share
        yield share
