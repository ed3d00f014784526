"""POST /v1/embeddings, with an encoder that needs no model: words that are shared are near."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from app.dialects.documents import documents
from app.encoding.encode import MOST_ITEMS
from tests.http.encoding_wire import EMBEDDINGS, ENCODING, asked, square, vectors
from tests.http.openai_wire import error_of

DIMENSIONS = 128
LIMIT = 512
INVALID = "invalid_request_error"


@pytest.mark.parametrize("path", sorted(ENCODING))
def test_every_documented_example_runs(echo: httpx.Client, path: str) -> None:
    content = documents()["openai"]()["paths"][path]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"].values()
    for example in examples:
        asked(echo, path, **example["value"])
    assert examples


def test_the_default_model_answers_and_is_named(echo: httpx.Client) -> None:
    answer = asked(echo, EMBEDDINGS, input="one two three")
    assert answer["model"] == "echo-embed"
    assert answer["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert len(answer["data"][0]["embedding"]) == DIMENSIONS


def test_vectors_come_in_the_order_of_the_texts_whatever_their_lengths(echo: httpx.Client) -> None:
    texts = ["one", "two " * 400, "three four", "five " * 90, "one"]
    together = vectors(echo, texts)
    alone = np.concatenate([vectors(echo, text) for text in texts])
    assert together == pytest.approx(alone, abs=1e-6)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert (together[0] == together[4]).all()


def test_more_texts_than_a_job_takes_are_answered_as_one(echo: httpx.Client) -> None:
    texts = [f"text {index % 7}" for index in range(MOST_ITEMS + 20)]
    answer = asked(echo, EMBEDDINGS, input=texts, encoding_format="base64")
    found = [each["embedding"] for each in answer["data"]]
    assert [found.index(each) for each in found] == [at % 7 for at in range(len(texts))]
    assert answer["usage"]["prompt_tokens"] == 3 * len(texts)


def test_base64_holds_the_very_same_numbers(echo: httpx.Client) -> None:
    texts = ["a horse", "", "유니콘 🦄"]
    texts[1] = "0"
    plain = vectors(echo, texts)
    coded = vectors(echo, texts, encoding_format="base64")
    assert (plain == coded).all()
    assert (vectors(echo, texts, embedding_type="base64") == coded).all()


def test_fewer_dimensions_are_the_first_ones_at_length_one(echo: httpx.Client) -> None:
    whole = vectors(echo, "a horse")[0]
    cut = vectors(echo, "a horse", dimensions=32)[0]
    assert cut == pytest.approx(whole[:32] / np.linalg.norm(whole[:32]), abs=1e-6)
    assert (vectors(echo, "a horse", dimensions=DIMENSIONS)[0] == whole).all()


def test_vectors_may_keep_their_length(echo: httpx.Client) -> None:
    (raw,) = vectors(echo, "a horse", normalized=False)
    length = np.linalg.norm(raw)
    assert abs(length - 1) > 0.1
    assert raw / length == pytest.approx(vectors(echo, "a horse")[0], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({"input_type": "query"}, "query: "),
        ({"input_type": "search_document"}, "passage: "),
        ({"task": "retrieval.passage"}, "passage: "),
        ({"input_type": "clustering"}, ""),
    ],
)
def test_the_prompt_of_the_model_is_put_before_a_text(
    echo: httpx.Client, options: dict[str, str], prefix: str
) -> None:
    asked_for = vectors(echo, "a horse", **options)
    assert (asked_for == vectors(echo, prefix + "a horse")).all()


def test_token_ids_of_the_model_are_taken_where_that_is_said(echo: httpx.Client) -> None:
    found = vectors(echo, [[0, 7, 9], [0, 5]], tokens="model")
    assert found.shape == (2, DIMENSIONS)
    assert (vectors(echo, [0, 7, 9], tokens="model")[0] == found[0]).all()


def test_token_ids_of_who_knows_what_are_refused_with_the_remedy(echo: httpx.Client) -> None:
    for sent in ([15339, 1917], [[15339, 1917], [1]]):
        answer = echo.post(EMBEDDINGS, json={"input": sent})
        assert error_of(answer) == (400, INVALID, "unsupported_parameter")
        assert "check_embedding_ctx_length=False" in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == "input"


def test_pictures_and_texts_share_a_space(echo: httpx.Client) -> None:
    inputs = [{"text": "red"}, {"image": square("red")}, "green", {"image": square("lime")}]
    answer = asked(echo, EMBEDDINGS, input=inputs)
    assert answer["model"] == "echo-clip"
    found = np.array([each["embedding"] for each in answer["data"]])
    alike = found @ found.T
    assert alike[0, 1] > alike[0, 3]
    assert alike[2, 3] > alike[2, 1]
    data_url = f"data:image/png;base64,{square('red')}"
    assert (vectors(echo, [{"image": data_url}])[0] == found[1].astype(np.float32)).all()


LONG = "word " * (LIMIT + 88)


def test_a_text_that_is_too_long_is_refused_by_its_place(echo: httpx.Client) -> None:
    texts = ["short"] * (MOST_ITEMS + 1) + [LONG]
    answer = echo.post(EMBEDDINGS, json={"input": texts})
    assert error_of(answer) == (400, INVALID, "context_length_exceeded")
    message = answer.json()["error"]["message"]
    assert f"index {MOST_ITEMS + 1} has {LIMIT + 89} tokens" in message
    assert f"at most {LIMIT}" in message


def test_or_cut_and_only_what_was_used_is_counted(echo: httpx.Client) -> None:
    answer = asked(echo, EMBEDDINGS, input=[LONG, "short"], truncate=True)
    assert answer["usage"]["prompt_tokens"] == LIMIT + 2
    assert (vectors(echo, LONG, truncate=True) == vectors(echo, "word " * (LIMIT - 1))).all()


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": ["a", 1]}, "input[1]", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": [{"text": "a", "image": "b"}]}, "input[0]", "invalid_value"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"input": "a", "dimensions": DIMENSIONS + 1}, "dimensions", "too_many_dimensions"),
        ({"input": "a", "dimensions": 0}, "dimensions", "invalid_value"),
        ({"input": "a", "input_type": "code"}, "input_type", "unknown_prompt"),
        ({"input": "a", "late_chunking": True}, "late_chunking", "unsupported_parameter"),
        ({"input": "a", "color": "red"}, "color", "unknown_parameter"),
        ({"input": "a", "model": "echo"}, None, "unsupported_input"),
        ({"input": "a", "model": "echo-rerank"}, None, "unsupported_input"),
        ({"input": [{"image": "?"}]}, None, "image_unreadable"),
        ({}, "input", "missing_required_parameter"),
    ],
)
def test_what_cannot_be_done_is_refused(
    echo: httpx.Client, body: dict[str, Any], param: str | None, code: str
) -> None:
    answer = echo.post(EMBEDDINGS, json=body)
    assert error_of(answer) == (400, INVALID, code), answer.text
    assert answer.json()["error"]["param"] == param


def test_fields_that_ask_for_nothing_are_taken(echo: httpx.Client) -> None:
    vectors(echo, "a", user="me", late_chunking=False, dimensions=None, encoding_format=None)


def test_the_list_says_what_a_model_makes(echo: httpx.Client) -> None:
    listed = {each["id"]: each for each in echo.get("/v1/models").json()["data"]}
    shown = listed["echo-embed"]
    assert (shown["type"], shown["engine"]) == ("embedding", "echo")
    assert shown["encoder"] == {
        "dimensions": DIMENSIONS,
        "max_tokens": LIMIT,
        "pooling": "mean",
        "prompts": {"query": "query: ", "document": "passage: "},
        "default_prompt": None,
    }
    assert listed["echo-rerank"]["type"] == "reranker"
    assert listed["echo-clip"]["type"] == "multimodal"
    assert listed["echo"]["encoder"] is None
    assert listed["echo-vision"]["type"] == "chat"


def test_many_clients_get_what_each_would_get_alone(echo: httpx.Client) -> None:
    texts = [f"{'word ' * (1 + 37 * at % 200)}{at}" for at in range(48)]
    alone = vectors(echo, texts)

    def ask(client: int) -> list[float]:
        return [
            float(np.abs(vectors(echo, texts[at])[0] - alone[at]).max())
            for at in range(client, len(texts), 16)
        ]

    with ThreadPoolExecutor(16) as clients:
        differences = [each for found in clients.map(ask, range(16)) for each in found]
    assert len(differences) == len(texts)
    assert max(differences) < 1e-5
