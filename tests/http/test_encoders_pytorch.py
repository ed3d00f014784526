"""Encoders of all families through catalogue, loader and HTTP: the numbers of their libraries.

The images go through the intake. One family stands for all in the daily run.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("torch", reason="pytorch: torch is not installed")
pytest.importorskip("transformers", reason="pytorch: transformers is not installed")

from tests.conftest import serving
from tests.encoders.checkpoints import FAMILIES, reference, write_checkpoint
from tests.encoders.encoding import apart, unit
from tests.encoders.inputs import LONG, PAIRS, TEXTS, images
from tests.http.encoding_wire import EMBEDDINGS, asked, vectors
from tests.http.openai_wire import error_of
from tests.selection import matrix

NEAR = 1e-4
DAILY = {"clip"}
MOST = 8
"""Images of one request."""


def named(kind: str) -> list[Any]:
    names = [name for name, family in FAMILIES.items() if family.kind == kind]
    return [name for name in names if name in DAILY] + matrix(
        *(name for name in names if name not in DAILY)
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("encoders")
    for name in FAMILIES:
        write_checkpoint(name, folder / name)
    with serving(models_dir=folder, enable_echo=False, engine_threads=1) as client:
        yield client


def listed(client: httpx.Client, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = client.get(f"/v1/models/{name}").json()
    return shown


@pytest.mark.parametrize("name", named("embedding"))
def test_texts(client: httpx.Client, name: str) -> None:
    expected, shown = reference(name), listed(client, name)
    found = vectors(client, list(TEXTS), model=name)
    assert apart(found, unit(expected[shown["encoder"]["default_prompt"] or "texts"])) < NEAR
    assert (shown["type"], shown["encoder"]["dimensions"]) == ("embedding", found.shape[1])
    bare = vectors(client, list(TEXTS), model=name, input_type="none")
    assert apart(bare, unit(expected["texts"])) < NEAR
    for prompt in FAMILIES[name].prompts:
        asked_for = vectors(client, list(TEXTS), model=name, input_type=prompt)
        assert apart(asked_for, unit(expected[prompt])) < NEAR
        assert prompt in shown["encoder"]["prompts"]
    cut = vectors(client, LONG, model=name, truncate=True, input_type="none")
    assert apart(cut, unit(expected["long"])) < NEAR


def test_a_text_that_is_too_long(client: httpx.Client) -> None:
    refusal = client.post(EMBEDDINGS, json={"model": "clip", "input": ["a", LONG]})
    assert error_of(refusal)[2] == "context_length_exceeded"
    limit = listed(client, "clip")["encoder"]["max_tokens"]
    assert f"at most {limit}" in refusal.json()["error"]["message"]


@pytest.mark.parametrize("name", named("rerank"))
def test_pairs(client: httpx.Client, name: str) -> None:
    for at, (query, document) in enumerate(PAIRS):
        body: dict[str, Any] = {"model": name, "query": query, "documents": [document]}
        logit = asked(client, "/v1/rerank", **body, raw_scores=True)["results"][0]
        score = asked(client, "/v1/rerank", **body)["results"][0]
        expected = reference(name)
        assert abs(logit["relevance_score"] - expected["logits"][at]) < NEAR
        assert abs(score["relevance_score"] - 1 / (1 + np.exp(-expected["logits"][at]))) < NEAR
    assert listed(client, name)["type"] == "reranker"


def pictures() -> list[str]:
    return [base64.b64encode(content).decode() for content in images()]


@pytest.mark.parametrize("name", named("vision") + named("multimodal"))
def test_images(client: httpx.Client, name: str) -> None:
    assert len(images()) <= MOST
    answer = asked(client, "/v1/vision/encode", model=name, images=pictures())
    found = np.array(answer["embeddings"])
    assert apart(found, unit(reference(name)["images"])) < NEAR
    assert listed(client, name)["encoder"]["dimensions"] == answer["dimensions"]


@pytest.mark.parametrize("name", named("multimodal"))
def test_images_and_texts(client: httpx.Client, name: str) -> None:
    expected = reference(name)
    texts = [*TEXTS, LONG]
    body = {"model": name, "images": pictures(), "texts": texts, "truncate": True}
    encoded = asked(client, "/v1/multimodal/encode", **body)
    assert apart(np.array(encoded["text_embeddings"]), unit(expected["texts"])) < NEAR
    answer = asked(client, "/v1/multimodal/match", **body)
    cosines = unit(expected["images"]) @ unit(expected["texts"]).T
    assert apart(np.array(answer["similarity_matrix"]), cosines) < NEAR
    assert apart(np.array(answer["probabilities"]), expected["probabilities"]) < NEAR
    jina = [{"image": pictures()[0]}, {"text": TEXTS[0]}]
    both = unit(np.stack([expected["images"][0], expected["texts"][0]]))
    assert apart(vectors(client, jina, model=name), both) < NEAR
