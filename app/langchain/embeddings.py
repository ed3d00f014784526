"""``SLLMEmbeddings``: the embedding models of this project in LangChain."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field

from app.client.backend import EMBEDDINGS
from app.langchain.connection import Connection


class SLLMEmbeddings(Connection, Embeddings):
    """Vectors of texts: of the server at ``base_url``, or without one made in this program.

    Where they are not given, ``SLLM_BASE_URL`` and ``SLLM_API_KEY`` of the environment say where
    and with which key. Without ``model`` the default embedding model makes them. Texts are sent
    ``batch_size`` at a time; ``on_progress`` is then called with how many are done. Too long texts
    are refused, unless ``truncate``. Raises SLLMError.
    """

    model: str | None = None
    dimensions: int | None = None
    truncate: bool = False
    batch_size: int = Field(default=256, ge=1, le=2048)
    on_progress: Callable[[int], None] | None = Field(default=None, exclude=True)

    model_config = ConfigDict(protected_namespaces=())

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of documents, in order."""
        found: list[list[float]] = []
        for batch in self._batches(texts):
            found += _vectors(self._backend.post(EMBEDDINGS, self._body(batch, "document")))
            self._progress(len(found))
        return found

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return _vectors(self._backend.post(EMBEDDINGS, self._body([text], "query")))[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of documents, in order."""
        found: list[list[float]] = []
        for batch in self._batches(texts):
            body = self._body(batch, "document")
            found += _vectors(await self._backend.apost(EMBEDDINGS, body))
            self._progress(len(found))
        return found

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return _vectors(await self._backend.apost(EMBEDDINGS, self._body([text], "query")))[0]

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        for start in range(0, len(texts), self.batch_size):
            yield [*texts[start : start + self.batch_size]]

    def _body(self, texts: list[str], kind: str) -> dict[str, Any]:
        body = {"input": texts, "input_type": kind, "encoding_format": "base64"}
        chosen = {"model": self.model, "dimensions": self.dimensions, "truncate": self.truncate}
        return body | {name: value for name, value in chosen.items() if value}

    def _progress(self, done: int) -> None:
        if self.on_progress:
            self.on_progress(done)


def _vectors(answer: dict[str, Any]) -> list[list[float]]:
    return [_numbers(each["embedding"]) for each in answer["data"]]


def _numbers(written: str) -> list[float]:
    numbers = array("f", base64.b64decode(written))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
