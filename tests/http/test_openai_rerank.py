"""POST /v1/rerank and /v2/rerank, with a reranker that knows words alone."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.http.encoding_wire import asked, vectors
from tests.http.openai_wire import error_of

RERANK = "/v1/rerank"
QUERY = "green apples"
DOCUMENTS = ["the sea", "apples that are green", "green grass", "apples that are green"]


def ranked(client: httpx.Client, path: str = RERANK, **options: Any) -> list[dict[str, Any]]:
    body: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS} | options
    results: list[dict[str, Any]] = asked(client, path, **body)["results"]
    return results


@pytest.mark.parametrize("path", [RERANK, "/v2/rerank"])
def test_the_best_come_first_by_their_places(echo: httpx.Client, path: str) -> None:
    results = ranked(echo, path)
    assert [each["index"] for each in results] == [1, 3, 2, 0]
    scores = [each["relevance_score"] for each in results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert scores[0] == scores[1]
    assert results[0].keys() == {"index", "relevance_score"}


def test_the_answer_names_the_model_and_counts(echo: httpx.Client) -> None:
    answer = asked(echo, RERANK, query=QUERY, documents=["the sea"])
    assert answer["model"] == "echo-rerank"
    assert answer["usage"]["total_tokens"] == answer["meta"]["tokens"]["input_tokens"] > 0


def test_scores_are_a_sigmoid_of_the_models_own_once(echo: httpx.Client) -> None:
    raw = {each["index"]: each["relevance_score"] for each in ranked(echo, raw_scores=True)}
    scores = {each["index"]: each["relevance_score"] for each in ranked(echo)}
    assert scores == {index: 1 / (1 + np.exp(-logit)) for index, logit in raw.items()}
    assert max(raw.values()) > 1


def test_as_many_as_are_wanted_with_their_documents(echo: httpx.Client) -> None:
    (best,) = ranked(echo, top_n=1, return_documents=True)
    assert best["document"] == {"text": DOCUMENTS[1]}
    assert len(ranked(echo, top_n=99)) == len(DOCUMENTS)


def test_top_k_is_answered_in_the_words_of_its_clients(echo: httpx.Client) -> None:
    first, second = ranked(echo, top_k=2)
    assert (first["score"], first["document"]) == (first["relevance_score"], DOCUMENTS[1])
    assert second["index"] == 3
    assert "document" not in ranked(echo, top_k=1, return_documents=False)[0]


def test_documents_may_be_objects(echo: httpx.Client) -> None:
    objects = [{"text": text, "title": "x"} for text in DOCUMENTS]
    assert ranked(echo, documents=objects) == ranked(echo)


def test_an_embedding_model_ranks_by_cosines_with_its_prompts(echo: httpx.Client) -> None:
    results = ranked(echo, model="echo-embed")
    query = vectors(echo, QUERY, input_type="query")[0].astype(np.float64)
    documents = vectors(echo, DOCUMENTS, input_type="document").astype(np.float64)
    expected = np.maximum(documents @ query, 0)
    found = {each["index"]: each["relevance_score"] for each in results}
    assert [found[index] for index in range(4)] == pytest.approx(list(expected), abs=1e-6)
    assert [each["index"] for each in results][:2] == [1, 3]


LONG = "word " * 600


def test_what_is_too_long_is_cut_unless_that_is_refused(echo: httpx.Client) -> None:
    assert len(ranked(echo, documents=[LONG, "x"])) == 2
    body = {"query": QUERY, "documents": ["x", LONG], "truncate": False}
    answer = echo.post(RERANK, json=body)
    assert error_of(answer) == (400, "invalid_request_error", "context_length_exceeded")
    assert "index 1" in answer.json()["error"]["message"]
    body = {"query": LONG, "documents": ["x"], "truncate": False, "model": "echo-embed"}
    answer = echo.post(RERANK, json=body)
    assert error_of(answer)[2] == "context_length_exceeded"
    assert answer.json()["error"]["param"] == "query"


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"top_n": 1, "top_k": 1}, None, "invalid_value"),
        ({"top_n": 0}, "top_n", "invalid_value"),
        ({"documents": []}, "documents", "invalid_value"),
        ({"documents": [{"title": "x"}]}, "documents[0].text", "missing_required_parameter"),
        ({"max_tokens_per_doc": 8}, "max_tokens_per_doc", "unsupported_parameter"),
        ({"rank_fields": ["title"]}, "rank_fields", "unsupported_parameter"),
        ({"model": "echo-clip"}, None, "unsupported_input"),
    ],
)
def test_what_cannot_be_done_is_refused(
    echo: httpx.Client, options: dict[str, Any], param: str | None, code: str
) -> None:
    body: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS} | options
    answer = echo.post(RERANK, json=body)
    assert error_of(answer) == (400, "invalid_request_error", code), answer.text
    assert answer.json()["error"]["param"] == param


def test_a_document_is_cut_no_shorter_than_the_model_does(echo: httpx.Client) -> None:
    assert ranked(echo, max_tokens_per_doc=4096) == ranked(echo)


def test_errors_of_the_second_version_have_coheres_form(echo: httpx.Client) -> None:
    refusals = [
        (echo.post("/v2/rerank", json={"query": QUERY}), 400),
        (echo.post("/v2/rerank", json={"query": "a", "documents": ["b"], "model": "none"}), 404),
        (echo.post("/v2/nothing", json={}), 404),
        (echo.get("/v2/embed"), 405),
    ]
    for answer, status in refusals:
        assert answer.status_code == status
        assert answer.json().keys() == {"id", "message"}
        assert answer.json()["id"] == answer.headers["x-request-id"]
