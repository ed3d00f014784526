"""Files that cannot be loaded cost only themselves: 409 with the reason, and no process again."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.events import parsed
from tests.provider.asking import STARTERS
from tests.provider.paged_model import write_paged
from tests.provider.scripted import CHATML, CONTROL, make

pytestmark = pytest.mark.slow

BROKEN: dict[str, dict[str, Any]] = {
    "syntax": {"template": "{% if %}"},
    "parentheses": {"template": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"},
    "context": {"kv": {"llama.context_length": 2**32 - 2**20}},
    "no-context": {"ctx": 0},
    "end": {"kv": {"tokenizer.ggml.eos_token_id": 10**6}},
    "beginning": {"kv": {"tokenizer.ggml.bos_token_id": 2**31 + 5}},
    "negative": {"kv": {"tokenizer.ggml.eos_token_id": -1}},
    "architecture": {"kv": {"general.architecture": "nonsense"}},
    "abort": {"kv": {"llama.rope.scaling.type": "nonsense"}},
}
"""GGUF files, by what is wrong with them."""

CHATS = ["/api/v1/chat", "/api/v3/chat", "/api/v4/chat", "/api/v5/chat"]
STREAMS = ["/api/v2/chat/stream", "/api/v3/chat/stream", "/api/v4/chat/stream"]
STREAMS += ["/api/v5/chat/stream"]


def write_all(folder: Path) -> None:
    """Everything in BROKEN, folders with a template that is no text, and one sound model."""
    made: dict[str, Any] = {
        "template": CHATML,
        "control": CONTROL,
        "script": ["H", "i", "<|im_end|>"],
    }
    for name, wrong in BROKEN.items():
        make(folder / f"{name}.gguf", **made | {"eos": "<|im_end|>"} | wrong)
    make(folder / "a-sound.gguf", **made, eos="<|im_end|>")
    write_paged(folder / "paged")
    edit(folder / "paged" / "genai_config.json", "model", eos_token_id=-1)
    shutil.copytree(STARTERS["onnx"], folder / "window")
    edit(folder / "window" / "genai_config.json", "model", context_length=-1)
    shutil.copytree(STARTERS["onnx"], folder / "no-text")
    (folder / "no-text" / "chat_template.jinja").write_bytes(b"\xff\xfe{{ messages }}")


def edit(path: Path, *where: str, **changes: Any) -> None:
    content = json.loads(path.read_text())
    place = content
    for key in where:
        place = place[key]
    place.update(changes)
    path.write_text(json.dumps(content))


NAMES = [*BROKEN, "paged", "window", "no-text"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_all(folder)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=folder, enable_echo=False) as client:
        assert ask(client, "/api/v1/chat", "a-sound").json()["message"]["content"] == "Hi"
        yield client


def ask(client: httpx.Client, route: str, model: str, message: str = "hi") -> httpx.Response:
    return client.post(route, json={"message": message, "model": model})


def ended(log: pytest.LogCaptureFixture) -> int:
    """Engine processes that have ended, by what the log says of each."""
    ours = (one for one in log.records if one.name == "app.provider.runtime.engine_process")
    return sum("engine process" in record.getMessage() for record in ours)


@pytest.mark.parametrize("model", NAMES)
def test_it_is_refused_with_a_reason_and_tried_once(
    client: httpx.Client, folder: Path, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "app.provider.runtime.engine_process")
    refusals = [ask(client, route, model) for route in (*CHATS, *STREAMS)]
    for refused in refusals:
        assert (refused.status_code, refused.json()["code"]) == (409, "model-not-loadable")
        assert str(folder) not in refused.text
    (reason,) = {refused.json()["detail"] for refused in refusals}
    described = client.get(f"/api/v5/models/{model}").json()
    listed = client.get("/api/v5/models").json()["models"]
    assert described["problem"]
    assert reason in {described["problem"], f"{model}: {described['problem']}"}
    assert next(one["problem"] for one in listed if one["id"] == model) == described["problem"]
    health = client.get("/health")
    assert health.status_code == 200
    tried = described["state"] == "failed"  # of others their headers say enough
    assert tried or described["state"] == "unusable"
    assert ended(caplog) == tried
    if tried:
        status = health.json()["models"][model]
        assert (status["problem"], status["restarts"], status["state"]) == (reason, 0, "failed")
    assert ask(client, "/api/v1/chat", "a-sound").json()["message"]["content"] == "Hi"


def test_to_load_a_refused_model_is_to_try_it_once_more(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "app.provider.runtime.engine_process")
    for tries in (1, 2):
        refused = client.post("/api/v5/models/abort/load")
        assert (refused.status_code, refused.json()["code"]) == (409, "model-not-loadable")
        assert ended(caplog) >= tries


def test_a_named_model_that_is_refused_is_missed_by_health(folder: Path, tmp_path: Path) -> None:
    named = shutil.copy(folder / "syntax.gguf", tmp_path / "named.gguf")
    with serving(models_dir=folder, enable_echo=False, sllm_model_path=named) as client:
        refused = client.post("/api/v1/chat", json={"message": "hi"})
        assert (refused.status_code, refused.json()["code"]) == (409, "model-not-loadable")
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert health.json()["models"]["named"]["problem"] == refused.json()["detail"]
        assert ask(client, "/api/v1/chat", "a-sound").status_code == 200


@pytest.mark.parametrize("setting", ["sllm_model_path", "vision_model_path"])
def test_a_named_model_that_nobody_can_load_is_missed_before_anybody_tries(
    tmp_path: Path, setting: str
) -> None:
    named = tmp_path / "named.gguf"
    named.write_bytes(STARTERS["gguf"].read_bytes()[:100_000])
    chosen: dict[str, Any] = {"models_dir": tmp_path, setting: named}
    with serving(**chosen) as client:
        health = client.get("/health")
        assert health.status_code == 503
        assert "incomplete" in health.json()["models"]["named"]["problem"]
    chosen[setting] = tmp_path / "nothing.gguf"
    with serving(**chosen) as client:
        health = client.get("/health")
        assert health.status_code == 503
        assert health.json()["models"]["nothing"]["problem"] == "There is no such model."


def test_a_default_chosen_by_rule_is_one_that_can_be_used(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "syntax.gguf", tmp_path / "starter.gguf")
    shutil.copy(folder / "a-sound.gguf", tmp_path / "a-sound.gguf")
    with serving(models_dir=tmp_path, enable_echo=False) as client:
        ask(client, "/api/v1/chat", "starter")
        assert client.post("/api/v1/chat", json={"message": "hi"}).json()["model"] == "a-sound"
        assert client.get("/health").status_code == 200
        (tmp_path / "a-sound.gguf").unlink()
        client.get("/api/v1/models")
        refused = client.post("/api/v1/chat", json={"message": "hi"})
        assert (refused.status_code, refused.json()["code"]) == (409, "model-not-loadable")
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("route", STREAMS)
def test_an_error_after_the_patience_is_the_one_of_an_http_answer(
    impatient: httpx.Client, client: httpx.Client, route: str
) -> None:
    """The first of them while the model loads, the others when it has been refused."""
    answer = ask(impatient, route, "syntax")
    assert answer.status_code == 200
    *_, last = parsed(answer.text)
    expected = ask(client, route, "syntax").json()
    for problem in (last.data, expected):
        for own in ("request_id", "conversation_id", "message_id"):
            problem.pop(own, None)
    assert (last.name, last.data) == ("error", expected)
    assert expected["status"] == 409


@pytest.fixture(scope="module")
def impatient(folder: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=folder, enable_echo=False, stream_patience_seconds=0) as client:
        yield client
