"""Which model sees the pictures of a question, and what happens where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.chatting import chat
from tests.http.vision import (
    CHAT,
    PLAIN,
    STREAM,
    URL,
    asked,
    opened,
    picture,
    problem,
    sent,
    shown,
)
from tests.store import audit

STARTER = Path(__file__).parents[2] / "models" / "starter.gguf"
INFO = "/api/v5/vision/info"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('db')}/sllm.db"


@pytest.fixture(scope="module")
def client(url: str, empty_models: Path) -> Iterator[httpx.Client]:
    """A server whose default model, ``echo``, cannot see."""
    with serving(models_dir=empty_models, database_url=url) as client:
        yield client


@pytest.fixture
def nothing_new(client: httpx.Client, url: str) -> Iterator[None]:
    """The test stores nothing."""
    tables = ("conversations", "messages", "images", "message_images")
    before = [len(audit.table(url, name)) for name in tables]
    yield
    assert [len(audit.table(url, name)) for name in tables] == before


def body(*pictures: bytes, **options: Any) -> dict[str, Any]:
    return {"message": "What is it?", "images": [sent(one) for one in pictures]} | options


# ---------------------------------------------------------------- without a name


def test_vision_chat_asks_one_that_sees(client: httpx.Client) -> None:
    assert asked(client, "hi")["model"] == "echo-vision"
    assert chat(client, "hi")["model"] == "echo"


def test_chat_does_so_for_pictures_and_goes_on_with_it(client: httpx.Client) -> None:
    answer = asked(client, "What is it?", picture(), route=PLAIN)
    later = asked(client, "And?", route=PLAIN, conversation_id=answer["conversation_id"])
    assert [answer["model"], later["model"]] == ["echo-vision", "echo-vision"]
    assert shown(later) == ["40x30"]
    assert asked(client, "hi", route=PLAIN)["model"] == "echo"


def test_a_conversation_without_a_name_for_a_model_gets_one_that_sees(client: httpx.Client) -> None:
    here = {"conversation_id": chat(client, "hi")["conversation_id"]}
    assert asked(client, "What is it?", picture(), route=PLAIN, **here)["model"] == "echo-vision"


def test_vision_chat_gives_a_conversation_a_vision_model(client: httpx.Client) -> None:
    here = {"conversation_id": chat(client, "hi", model="echo")["conversation_id"]}
    refused = client.post(PLAIN, json=body(picture()) | here)
    assert problem(refused) == (422, "model-cannot-see")
    assert asked(client, "What is it?", picture(), **here)["model"] == "echo-vision"
    assert asked(client, "And?", route=PLAIN, **here)["model"] == "echo-vision"


# ---------------------------------------------------------------- one that cannot see


@pytest.mark.usefixtures("nothing_new")
@pytest.mark.parametrize("route", [PLAIN, f"{PLAIN}/stream", CHAT, STREAM, "/api/v5/tokens"])
def test_pictures_are_never_ignored(client: httpx.Client, route: str) -> None:
    refused = client.post(route, json=body(picture(), model="echo"))
    assert problem(refused) == (422, "model-cannot-see")
    assert "echo cannot see" in refused.json()["detail"]
    assert "echo-vision" in refused.json()["detail"]


@pytest.mark.usefixtures("nothing_new")
def test_vision_chat_wants_a_vision_model_even_without_a_picture(client: httpx.Client) -> None:
    assert problem(client.post(CHAT, json=body(model="echo"))) == (422, "model-cannot-see")


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_a_conversation_with_pictures_and_a_text_only_model(
    client: httpx.Client, version: str
) -> None:
    first = asked(client, "What is it?", picture())
    here = {"conversation_id": first["conversation_id"]}
    before = opened(client, first, branch="all")
    question = {"message": "And?", "model": "echo"} | here
    for route in ("chat", "chat/stream", "tokens"):
        refused = client.post(f"/api/{version}/{route}", json=question)
        assert problem(refused) == (422, "model-cannot-see")
        assert "message_id" not in refused.json()
    place = f"/api/{version}/conversations/{here['conversation_id']}/messages/{first['message_id']}"
    assert problem(client.post(f"{place}/regenerate", json={"model": "echo"})) == (
        422,
        "model-cannot-see",
    )
    assert opened(client, first, branch="all") == before
    assert asked(client, "And?", **here)["model"] == "echo-vision", "it keeps its model"


def test_a_branch_without_pictures_may_go_on_with_any_model(client: httpx.Client) -> None:
    first = asked(client, "What is it?", picture())
    here = {"conversation_id": first["conversation_id"], "parent_id": None}
    assert asked(client, "hi", route=PLAIN, model="echo", **here)["model"] == "echo"


def test_earlier_versions_know_no_images(client: httpx.Client) -> None:
    refused = client.post("/api/v4/chat", json=body(picture()))
    assert refused.json()["errors"] == [
        {"pointer": "/images", "detail": "Extra inputs are not permitted"}
    ]


# ---------------------------------------------------------------- info and settings


def test_info_tells_what_sees_and_what_may_be_sent(client: httpx.Client) -> None:
    info = client.get(INFO).json()
    (model,) = info["models"]
    assert (info["default_model"], model["id"]) == ("echo-vision", "echo-vision")
    assert (model["max_images"], model["max_tokens"], model["video"]) == (8, 1296, False)
    rules = info["images"]
    assert (rules["max_images"], rules["max_bytes"], rules["urls"]) == (8, 10 * 2**20, False)
    assert rules["max_request_bytes"] == 32 * 2**20
    assert "image/webp" in rules["mime_types"]


def test_without_a_model_that_sees(tmp_path: Path) -> None:
    (tmp_path / "only.gguf").symlink_to(STARTER)
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        for route in (CHAT, PLAIN):
            refused = client.post(route, json=body(picture()))
            assert problem(refused) == (404, "no-vision-model")
        assert "VISION_MODEL_PATH" in refused.json()["detail"]
        info = client.get(INFO).json()
        assert (info["default_model"], info["models"]) == (None, [])
        named = client.post(PLAIN, json=body(picture(), model="only"))
        assert "no model here can" in named.json()["detail"]
        assert client.get(URL).json()["conversations"] == []


@pytest.mark.parametrize(
    ("file", "expected"),
    [("only.gguf", (422, "model-cannot-see")), ("gone.gguf", (404, "model-not-found"))],
)
def test_a_setting_that_names_no_model_that_sees(
    tmp_path: Path, file: str, expected: tuple[int, str]
) -> None:
    (tmp_path / "only.gguf").symlink_to(STARTER)
    with serving(models_dir=tmp_path, vision_model_path=tmp_path / file) as client:
        assert problem(client.post(CHAT, json=body(picture()))) == expected
        assert client.get(INFO).json()["default_model"] is None
        assert asked(client, "hi", picture(), model="echo-vision")["model"] == "echo-vision"
