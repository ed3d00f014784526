"""Talks to the routes that make vectors and rankings, and reads the vectors."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from app.openai.models.embed import EmbedAnswer
from app.openai.models.embeddings import EmbeddingList
from app.openai.models.multimodal import Matches, MultimodalEmbeddings
from app.openai.models.rerank import RerankAnswer
from app.openai.models.vision import ImageEmbeddings, Similarity
from tests.http.openai_wire import Object
from tests.media.files import saved

EMBEDDINGS = "/v1/embeddings"
ANSWERS: dict[str, type[BaseModel]] = {
    EMBEDDINGS: EmbeddingList,
    "/v1/rerank": RerankAnswer,
    "/v2/rerank": RerankAnswer,
    "/v1/embed": EmbedAnswer,
    "/v2/embed": EmbedAnswer,
    "/v1/vision/encode": ImageEmbeddings,
    "/v1/vision/similarity": Similarity,
    "/v1/multimodal/encode": MultimodalEmbeddings,
    "/v1/multimodal/match": Matches,
}
ENCODING = ANSWERS.keys()
"""The paths."""

Vector = NDArray[np.float32]


def asked(client: httpx.Client, path: str, **body: Any) -> Object:
    """The answer, which is as documented."""
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    model = ANSWERS[path]
    found: Object = answer.json()
    dumped = model.model_validate(found, strict=True).model_dump(exclude_unset=True, by_alias=True)
    assert dumped == found
    return found


def vectors(client: httpx.Client, texts: Any, **options: Any) -> Vector:
    """Those of ``/v1/embeddings``, a row for each input."""
    answer = asked(client, EMBEDDINGS, input=texts, **options)
    assert [each["index"] for each in answer["data"]] == list(range(len(answer["data"])))
    return np.array([numbers(each["embedding"]) for each in answer["data"]])


def numbers(written: Any) -> Vector:
    """A vector, from either of its forms."""
    if isinstance(written, str):
        return np.frombuffer(base64.b64decode(written), "<f4")
    return np.array(written, np.float32)


def square(colour: str, kind: str = "PNG", size: int = 24) -> str:
    """A picture of one colour, as base64."""
    return base64.b64encode(saved(Image.new("RGB", (size, size), colour), kind)).decode()
