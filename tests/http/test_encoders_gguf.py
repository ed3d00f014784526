"""Encoders in GGUF files through catalogue, loader and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import serving
from tests.encoders.checkpoints import reference, write_checkpoint
from tests.encoders.encoding import unit
from tests.encoders.gguf_files import write_encoder
from tests.encoders.inputs import PAIRS, TEXTS
from tests.http.encoding_wire import asked, vectors

NAMES = {
    "nomic": "nomic-embed-text-v1.5-f16",
    "qwen3-reranker": "Qwen3-Reranker-f16",
    "bert-cross-encoder": "ms-marco-f16",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("encoders")
    models = folder / "models"
    models.mkdir()
    for family, name in NAMES.items():
        write_encoder(write_checkpoint(family, folder / family), models / f"{name}.gguf")
    with serving(models_dir=models, enable_echo=False, engine_threads=1) as client:
        yield client


def test_prompts_of_an_embedder_are_known_by_its_name(client: httpx.Client) -> None:
    name, expected = NAMES["nomic"], reference("nomic")
    for input_type, key in (("none", "texts"), ("query", "query")):
        found = vectors(client, list(TEXTS), model=name, input_type=input_type)
        assert np.einsum("ij,ij->i", found, unit(expected[key])).min() > 0.9999
    shown: dict[str, Any] = client.get(f"/v1/models/{name}").json()
    assert (shown["type"], shown["encoder"]["dimensions"]) == ("embedding", 64)
    assert {"query", "document"} <= set(shown["encoder"]["prompts"])


def test_documents_are_ranked(client: httpx.Client) -> None:
    expected = reference("qwen3-reranker")["scores"]
    for (query, document), score in zip(PAIRS, expected, strict=True):
        body: dict[str, Any] = {"query": query, "documents": [document]}
        answer = asked(client, "/v1/rerank", model=NAMES["qwen3-reranker"], **body)
        assert answer["results"][0]["relevance_score"] == pytest.approx(score, abs=2e-3)


def test_a_cross_encoder_that_would_rank_wrongly_is_refused(client: httpx.Client) -> None:
    body = {"model": NAMES["bert-cross-encoder"], "query": "q", "documents": ["d"]}
    refusal = client.post("/v1/rerank", json=body)
    assert refusal.is_client_error
    assert "reranker of the BERT kind" in refusal.json()["error"]["message"]
