"""The routes of the HyperCLOVA X tool server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dialects.documents import documents
from tests.conftest import MODELS, ONE_THREAD, link_models, serving
from tests.http.vision import picture

pytestmark = pytest.mark.slow

VISION = ("starter-vision.gguf", "mmproj-starter-vision.gguf")
TOOL = "/tool/generate_hyperclovax_vision"
STREAM = f"{TOOL}_stream"
PICTURE = base64.b64encode(picture()).decode()
EVENTS = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def client(empty_models: Path) -> Iterator[httpx.Client]:
    """Only models that repeat what they get: one of them says what it sees."""
    with serving(models_dir=empty_models) as client:
        yield client


def answered(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post(TOOL, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_answer_has_both_forms_and_names_its_model(client: httpx.Client) -> None:
    answer = client.post(TOOL, json={"prompt": "one\ntwo\nthree", "image_base64": ""})
    found = answer.json()
    assert found == {
        "result": "one\ntwo\nthree",
        "text": "assistant\none\ntwo\nthree",
        "finish_reason": "stop",
    }
    assert answer.headers["x-model"] == "echo-vision"


def test_the_oldest_client_shows_all_of_it(client: httpx.Client) -> None:
    """It cuts what comes before the last line "assistant", and else shows the last line alone."""
    text = answered(client, prompt="one\ntwo")["text"]
    cut = re.split(r"assistant\n", text)
    assert (cut[-1] if len(cut) > 1 else text.splitlines()[-1]) == "one\ntwo"


@pytest.mark.parametrize("image", [PICTURE, f"data:image/png;base64,{PICTURE}", PICTURE + "\n"])
def test_a_picture_comes_in_every_form(client: httpx.Client, image: str) -> None:
    with_it = answered(client, prompt="What is it?", image_base64=image)["result"]
    assert with_it != answered(client, prompt="What is it?", image_base64=None)["result"]
    assert "40" in with_it


@pytest.mark.parametrize(
    ("path", "body"), [(TOOL, {"stream": True}), (f"{TOOL}?stream=true", {}), (STREAM, {})]
)
def test_a_stream_is_bare_text(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, json={"prompt": "one two three"} | body)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-model"] == "echo-vision"
    assert answer.text == "one two three"


@pytest.mark.parametrize("path", [f"{TOOL}?stream=true", STREAM])
def test_events_for_who_accepts_them(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"prompt": "one two"}, headers=EVENTS)
    events = re.findall(r"^event: (\w+)\ndata: (.*)$", answer.text, re.MULTILINE)
    *pieces, (last, whole) = events
    assert {name for name, _ in pieces} == {"delta"}
    assert "".join(json.loads(data)["text"] for _, data in pieces) == "one two"
    assert last == "done"
    assert json.loads(whole) == {"result": "one two", "finish_reason": "stop"}


JSON = {"content-type": "application/json"}
REFUSED: dict[str, tuple[dict[str, str], bytes, int]] = {
    "no prompt": (JSON, b"{}", 422),
    "an empty prompt": (JSON, b'{"prompt": ""}', 422),
    "no JSON": (JSON, b"{", 422),
    "another type": ({"content-type": "text/plain"}, b"hello", 415),
    "no base64": (JSON, b'{"prompt": "a", "image_base64": "!"}', 422),
    "no picture": (JSON, b'{"prompt": "a", "image_base64": "aGVsbG8="}', 415),
    "too long": (JSON, json.dumps({"prompt": "word " * 20_000}).encode(), 400),
}


@pytest.mark.parametrize("path", [TOOL, STREAM])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_is_a_sentence_twice(client: httpx.Client, kind: str, path: str) -> None:
    headers, body, status = REFUSED[kind]
    refused(client.post(path, content=body, headers=headers), status)


def test_a_mistake_in_json_is_said_of_the_body(client: httpx.Client) -> None:
    answer = client.post(TOOL, content=b'{"prompt": ', headers=JSON)
    assert answer.json()["detail"].startswith("The body: ")


def refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert found.keys() == {"detail", "error", "code", "request_id"}
    assert found["detail"] == found["error"]
    assert found["detail"].endswith(".")
    assert found["request_id"] == answer.headers["x-request-id"]


def test_keys_and_unknown_addresses(empty_models: Path) -> None:
    with serving(models_dir=empty_models, api_keys=["secret"]) as client:
        refused(client.post(TOOL, json={"prompt": "a"}), 401)
        key = {"authorization": "Bearer secret"}
        refused(client.post("/tool/other", json={}, headers=key), 404)
        refused(client.get(TOOL, headers=key), 405)
        assert client.post(TOOL, json={"prompt": "a"}, headers=key).status_code == 200


def test_without_a_model_that_sees(tmp_path: Path) -> None:
    link_models(tmp_path, "starter.gguf")
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        assert client.post(TOOL, json={"prompt": "Hello!"}).headers["x-model"] == "starter"
        refused(client.post(TOOL, json={"prompt": "Hello!", "image_base64": PICTURE}), 404)


def test_the_documented_examples_on_the_default_model(tmp_path: Path) -> None:
    link_models(tmp_path, *VISION)
    examples = documents()["tool"]()["paths"][TOOL]["post"]["requestBody"]["content"]
    with serving(models_dir=tmp_path, enable_echo=False, engine_threads=ONE_THREAD) as client:
        for example in examples["application/json"]["examples"].values():
            answer = client.post(TOOL, json=example["value"])
            assert answer.headers["x-model"] == "starter-vision"
    assert "red circle" in answer.json()["result"]


@pytest.mark.parametrize(
    "model",
    [
        "starter-vision",
        pytest.param(
            "starter-vision-hyperclovax",
            marks=[pytest.mark.engine("hyperclovax"), pytest.mark.matrix],
        ),
    ],
)
def test_the_requests_of_its_readme(tmp_path: Path, model: str) -> None:
    """As they stand there, with a picture in place of the dots."""
    link_models(tmp_path, *VISION, "starter-vision-hyperclovax")
    if model == "starter-vision":
        (tmp_path / "starter-vision-hyperclovax").unlink()
    body = {"prompt": "이 이미지를 설명해줘.", "image_base64": PICTURE}
    with serving(models_dir=tmp_path, enable_echo=False, engine_threads=ONE_THREAD) as client:
        whole = client.post(TOOL, json=body)
        assert whole.json()["result"].strip()
        for address in (f"{TOOL}?stream=true", STREAM):
            streamed = client.post(address, json=body)
            assert streamed.headers["content-type"].startswith("text/plain")
            assert streamed.text.strip()
        assert {whole.headers["x-model"], streamed.headers["x-model"]} == {model}


@pytest.mark.engine("hyperclovax")
@pytest.mark.matrix
def test_a_hyperclova_x_model_comes_first(tmp_path: Path) -> None:
    link_models(tmp_path, *VISION, "starter-vision-hyperclovax")
    with serving(models_dir=tmp_path, engine_threads=ONE_THREAD) as client:
        answer = client.post(TOOL, json={"prompt": "Hello!"})
        assert answer.headers["x-model"] == "starter-vision-hyperclovax"
        assert answer.json()["result"]
    # A starter does not stand in the way of a model that a setting names.
    chosen = tmp_path / "of-mine"
    chosen.symlink_to(MODELS / "starter-vision-hf")
    with serving(
        models_dir=tmp_path, vision_model_path=chosen, engine_threads=ONE_THREAD
    ) as client:
        answer = client.post(TOOL, json={"prompt": "Hello!"})
        assert answer.headers["x-model"] == "of-mine"
