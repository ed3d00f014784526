"""POST /v1/embed and /v2/embed: the same vectors in the form of Cohere's API."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.http.encoding_wire import asked, numbers, square, vectors

V1, V2 = "/v1/embed", "/v2/embed"
TEXTS = ["a horse", "a unicorn"]


def test_the_first_version_gives_numbers_alone(echo: httpx.Client) -> None:
    answer = asked(echo, V1, texts=TEXTS)
    assert (answer["response_type"], answer["texts"]) == ("embeddings_floats", TEXTS)
    assert (np.array(answer["embeddings"], np.float32) == vectors(echo, TEXTS)).all()


@pytest.mark.parametrize("path", [V1, V2])
def test_types_are_given_as_asked(echo: httpx.Client, path: str) -> None:
    answer = asked(echo, path, texts=TEXTS, embedding_types=["float", "base64"])
    assert answer["response_type"] == "embeddings_by_type"
    floats, coded = answer["embeddings"]["float"], answer["embeddings"]["base64"]
    assert [numbers(each).tolist() for each in floats] == [numbers(each).tolist() for each in coded]


def test_the_second_version_gives_floats_by_type(echo: httpx.Client) -> None:
    answer = asked(echo, V2, texts=TEXTS, input_type="search_query", output_dimension=16)
    assert answer["embeddings"].keys() == {"float"}
    expected = vectors(echo, TEXTS, input_type="query", dimensions=16)
    assert (np.array(answer["embeddings"]["float"], np.float32) == expected).all()
    assert answer["model"] == "echo-embed"
    assert answer["meta"]["billed_units"]["input_tokens"] == 8


def test_pictures_and_texts_side_by_side(echo: httpx.Client) -> None:
    url = f"data:image/png;base64,{square('red')}"
    inputs = [
        {"content": [{"type": "image_url", "image_url": {"url": url}}]},
        {"content": [{"type": "text", "text": "red"}]},
    ]
    both = asked(echo, V2, inputs=inputs, input_type="image")
    alone = asked(echo, V2, images=[url])
    assert both["model"] == alone["model"] == "echo-clip"
    assert both["embeddings"]["float"][0] == alone["embeddings"]["float"][0]
    assert both["texts"] == ["red"]


def test_long_texts_are_cut_or_refused(echo: httpx.Client) -> None:
    long = "word " * 600
    assert asked(echo, V2, texts=[long])["meta"]["tokens"]["input_tokens"] == 512
    answer = echo.post(V2, json={"texts": [long], "truncate": "NONE"})
    assert answer.status_code == 400
    assert "at most 512" in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"texts": TEXTS, "images": ["x"]},
        {"texts": TEXTS, "embedding_types": ["int8"]},
        {"texts": TEXTS, "truncate": "START"},
        {"texts": TEXTS, "max_tokens": 8},
        {"texts": TEXTS, "input_type": "code"},
        {"inputs": [{"content": [{"type": "text", "text": "a"}] * 2}]},
        {"inputs": [{"content": [{"type": "text"}]}]},
    ],
)
def test_what_cannot_be_done_is_refused(echo: httpx.Client, body: dict[str, Any]) -> None:
    assert echo.post(V2, json=body).status_code == 400
    assert echo.post(V1, json=body).json()["error"]["type"] == "invalid_request_error"
