"""Vectors and rankings with the text encoder that comes with the repository."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.conftest import serving
from tests.http.encoding_wire import asked, vectors
from training.embed_starter.engines import Onnx
from training.starter.corpus import entries, held_out

pytestmark = pytest.mark.slow

MODELS = Path(__file__).parents[2] / "models"
EMBED, GGUF = "starter-embed", "starter-embed-f16"
TEXTS = [item.question for item in held_out()[::40]] + ["a text on another subject", "다른 글"]


@pytest.fixture(scope="module")
def starters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server as it is on a fresh machine, with the encoder alone."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / EMBED, folder / EMBED)
    shutil.copy(MODELS / f"{GGUF}.gguf", folder)
    with serving(models_dir=folder, enable_echo=False) as client:
        yield client


def test_both_formats_are_listed_for_what_they_do(starters: httpx.Client) -> None:
    listed = {model["id"]: model for model in starters.get("/v1/models").json()["data"]}
    assert [listed[name]["type"] for name in (EMBED, GGUF)] == ["embedding", "embedding"]


def test_without_a_name_the_starter_makes_the_vectors_that_its_graph_makes(
    starters: httpx.Client,
) -> None:
    answer = asked(starters, "/v1/embeddings", input=TEXTS)
    assert answer["model"] == EMBED
    found = np.array([each["embedding"] for each in answer["data"]])
    assert found == pytest.approx(Onnx(MODELS / EMBED)(TEXTS), abs=1e-5)


def test_both_formats_make_the_same_vectors(starters: httpx.Client) -> None:
    by_onnx, by_gguf = (vectors(starters, TEXTS, model=name) for name in (EMBED, GGUF))
    assert (by_onnx * by_gguf).sum(1).min() > 0.9999


@pytest.mark.parametrize("size", [64, 128])
def test_the_first_numbers_are_a_vector_of_their_own(starters: httpx.Client, size: int) -> None:
    whole, cut = vectors(starters, TEXTS), vectors(starters, TEXTS, dimensions=size)
    first = whole[:, :size]
    assert cut == pytest.approx(first / np.linalg.norm(first, axis=1, keepdims=True), abs=1e-5)


def test_it_ranks_the_answer_to_a_question_first(starters: httpx.Client) -> None:
    documents = [entry.answer for entry in entries() if entry.language == "ko"]
    wanted = next(
        entry.answer for entry in entries() if entry.intent == "gpu" and entry.language == "ko"
    )
    question = "how do I use my graphics card?"
    answer = asked(starters, "/v1/rerank", query=question, documents=documents, top_n=3)
    assert answer["model"] == EMBED
    assert wanted in [documents[each["index"]] for each in answer["results"]]
