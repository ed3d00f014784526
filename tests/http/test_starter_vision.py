"""The model that sees and comes with the repository, through the whole server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageDraw

from app import versions
from tests.conftest import serving
from tests.http.events import parsed
from tests.http.vision import CHAT, STREAM, URL, asked, fetched
from tests.media.files import saved

MODELS = Path(__file__).parents[2] / "models"

COLOURS = {"red": (214, 36, 36), "blue": (40, 80, 220), "green": (40, 160, 60)}

QUESTION = "What is in the picture?"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """What a fresh installation is."""
    with serving(models_dir=MODELS, enable_echo=False) as client:
        yield client


def drawn(shape: str, colour: str, width: int = 224, height: int = 168) -> bytes:
    """One large thing in the middle of a white picture, as a camera would save it."""
    image = Image.new("RGB", (width, height), "white")
    middle, down, half = width // 2, height // 2, height // 3
    box = (middle - half, down - half, middle + half, down + half)
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse(box, COLOURS[colour])
    else:
        pen.rectangle(box, COLOURS[colour])
    return saved(image, "JPEG", quality=90)


@pytest.mark.parametrize("shape", ["circle", "square"])
@pytest.mark.parametrize("colour", COLOURS)
def test_an_uploaded_picture_is_answered_correctly(
    client: httpx.Client, colour: str, shape: str
) -> None:
    files = [("images", ("drawing.jpg", drawn(shape, colour), "image/jpeg"))]
    answer = client.post(CHAT, data={"message": QUESTION, "temperature": "0"}, files=files).json()
    assert answer["model"] == "starter-vision"
    assert f"{colour} {shape}" in answer["message"]["content"]
    (image,) = answer["images"]
    assert image["seen"]["tokens"] == image["seen"]["width"] * image["seen"]["height"] // 28**2
    assert answer["usage"]["prompt_tokens"] > image["seen"]["tokens"]


def test_a_later_question_needs_no_second_upload(client: httpx.Client) -> None:
    first = asked(client, QUESTION, drawn("circle", "blue"), temperature=0)
    here = {"conversation_id": first["conversation_id"], "temperature": 0}
    later = asked(client, "What colour is it?", **here)
    assert "blue" in later["message"]["content"].lower()
    assert later["context"]["images"] == first["context"]["images"]
    assert later["usage"]["cached_tokens"] > first["images"][0]["seen"]["tokens"]
    fetched(client, first["conversation_id"], first["images"][0]["sha256"])
    again = f"{URL}/{first['conversation_id']}/messages/{first['message_id']}/regenerate"
    same = client.post(again, json={"temperature": 0}).json()
    assert same["message"] == first["message"]


def test_every_example_of_the_documentation_runs_on_it(client: httpx.Client) -> None:
    paths = versions.document("v5")["paths"]
    for path in (CHAT, STREAM):
        content = paths[path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            response = client.post(path, json=example["value"])
            assert response.status_code == 200, response.text
            if path == STREAM:
                assert parsed(response.text)[-1].name == "done"
    circle = client.post(CHAT, json=content["examples"]["picture"]["value"]).json()
    assert "red circle" in circle["message"]["content"]


def test_info_says_what_it_takes(client: httpx.Client) -> None:
    info = client.get("/api/v5/vision/info").json()
    (model,) = [one for one in info["models"] if one["id"] == "starter-vision"]
    assert info["default_model"] == "starter-vision"
    assert (model["min_tokens"], model["max_tokens"], model["problem"]) == (8, 49, None)
