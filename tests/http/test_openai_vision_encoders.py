"""/v1/vision and /v1/multimodal, with an encoder that knows colours and their names."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.http.encoding_wire import asked, square
from tests.http.openai_wire import error_of

ENCODE, SIMILARITY = "/v1/vision/encode", "/v1/vision/similarity"
BOTH, MATCH = "/v1/multimodal/encode", "/v1/multimodal/match"
RED, BLUE = square("red"), square("blue")


def test_pictures_become_vectors_in_their_order(echo: httpx.Client) -> None:
    answer = asked(echo, ENCODE, images=[RED, BLUE, square("red", "BMP")])
    found = np.array(answer["embeddings"])
    assert answer["dimensions"] == found.shape[1] == 128
    assert answer["model"] == "echo-clip"
    assert (found[0] == found[2]).all()
    assert found[0] @ found[1] < 0.5
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-6)


def test_a_picture_is_like_itself_in_any_format(echo: httpx.Client) -> None:
    again = square("red", "JPEG")
    for other in (RED, again, f"data:image/jpeg;base64,{again}"):
        answer = asked(echo, SIMILARITY, image1=RED, image2=other)
        assert 0.999 <= answer["similarity"] <= 1
    assert answer["feature_dimensions"] == answer["dimensions"] == len(answer["image1_features"])
    assert answer["processing_time"] > 0


def test_what_is_opposite_is_not_alike_at_all(echo: httpx.Client) -> None:
    answer = asked(echo, SIMILARITY, image1=RED, image2=BLUE)
    cosine = np.dot(answer["image1_features"], answer["image2_features"])
    assert answer["similarity"] == pytest.approx(max(cosine, 0.0), abs=1e-6)


def test_the_text_that_names_the_colour_fits(echo: httpx.Client) -> None:
    texts = ["red", "blue", "green"]
    answer = asked(echo, MATCH, images=[RED, BLUE], texts=texts)
    matrix = np.array(answer["similarity_matrix"])
    assert answer["shape"] == [2, 3] == list(matrix.shape)
    assert matrix.argmax(axis=1).tolist() == [0, 1]
    assert answer["rule"] == "softmax"
    powers = np.exp(20 * matrix)
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert np.array(answer["probabilities"]) == pytest.approx(expected)


def test_the_matrix_holds_the_cosines_of_the_vectors(echo: httpx.Client) -> None:
    texts = ["a red thing", "blue"]
    encoded = asked(echo, BOTH, images=[RED], texts=texts)
    found = asked(echo, MATCH, images=[RED], texts=texts)["similarity_matrix"]
    images, words = np.array(encoded["image_embeddings"]), np.array(encoded["text_embeddings"])
    assert np.array(found) == pytest.approx(images @ words.T, abs=1e-6)


def test_either_may_be_left_out(echo: httpx.Client) -> None:
    assert asked(echo, BOTH, texts=["red"])["image_embeddings"] is None
    assert asked(echo, BOTH, images=[RED])["text_embeddings"] is None


def test_models_that_encode_pictures_are_listed(echo: httpx.Client) -> None:
    (shown,) = echo.get("/v1/vision/models").json()["data"]
    assert (shown["id"], shown["type"], shown["dimensions"]) == ("echo-clip", "multimodal", 128)
    assert shown["capabilities"]["image_text_matching"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (ENCODE, {"images": []}, 400, "invalid_value"),
        (ENCODE, {"images": ["*"]}, 400, "image_unreadable"),
        (ENCODE, {"images": ["AAAA"]}, 415, "image_type_not_supported"),
        (ENCODE, {"images": [RED] * 9}, 413, "too_many_images"),
        (ENCODE, {"images": ["https://example.com/a.png"]}, 403, "image_urls_off"),
        (ENCODE, {"images": [RED], "model": "echo-embed"}, 400, "unsupported_input"),
        (ENCODE, {"images": [RED], "model": "echo-vision"}, 400, "unsupported_input"),
        (SIMILARITY, {"image1": RED}, 400, "missing_required_parameter"),
        (BOTH, {}, 400, "invalid_value"),
        (BOTH, {"texts": ["x"], "model": "echo-embed"}, 400, "unsupported_input"),
        (BOTH, {"texts": ["word " * 600]}, 400, "context_length_exceeded"),
        (MATCH, {"images": [RED], "texts": []}, 400, "invalid_value"),
    ],
)
def test_what_cannot_be_done_is_refused(
    echo: httpx.Client, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    answer = echo.post(path, json=body)
    assert error_of(answer) == (status, "invalid_request_error", code), answer.text
