"""GET /v1/models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.openai.models.health import Health
from app.openai.models.models import Model, ModelList
from app.openai.translate.models import model, model_list
from app.provider.card import ModelCard
from tests.conftest import serving
from tests.http.openai_wire import Object, checked


def listed(client: httpx.Client) -> dict[str, Object]:
    answer = checked(ModelList, client.get("/v1/models").json())
    return {each["id"]: each for each in answer["data"]}


def test_the_list_names_every_model(echo: httpx.Client) -> None:
    found = listed(echo)
    assert {"echo", "echo-vision"} <= found.keys()
    assert found["echo"]["context_length"] > 0
    assert found["echo"]["tasks"] == ["chat"]
    assert not found["echo"]["capabilities"]["vision"]
    assert found["echo-vision"]["capabilities"]["vision"]


def test_names_that_several_models_have_are_told_apart() -> None:
    """Open WebUI shows names only; two quantisations of a model have the same one."""
    cards = [
        ModelCard(name, "gguf", "gguf", Path("none"), 1, 1, name=title)
        for name, title in (("a-q4", "A"), ("a-q8", "A"), ("b", "B"))
    ]
    found = {each["id"]: each["name"] for each in model_list(cards, [])["data"]}
    assert found == {"a-q4": "A (a-q4)", "a-q8": "A (a-q8)", "b": "B"}


def test_models_are_listed_with_templates_that_need_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("prompts")
    plain = {"name": "plain", "description": "d", "system": "s"}
    needy = {
        "name": "needy",
        "description": "d",
        "system": "{{ x }}",
        "variables": {"x": {"type": "string", "required": True}},
    }
    for template in (plain, needy):
        (folder / f"{template['name']}.json").write_text(json.dumps(template))
    models = tmp_path_factory.mktemp("none")
    with serving(models_dir=models, prompts_dir=folder, api_keys=["a", "b"]) as client:
        mine, theirs = {"X-API-Key": "a"}, {"X-API-Key": "b"}
        own = {**plain, "name": "own"}
        answer = client.post("/api/v4/prompt/templates", json=own, headers=mine)
        assert answer.is_success, answer.text
        client.headers.update(mine)
        found = listed(client)
        assert {name for name in found if "@" in name} == {
            f"{model}@{template}"
            for model in ("echo", "echo-vision")
            for template in ("plain", "own")
        }
        assert found["echo@own"]["prompt_template"] == "own"
        assert client.get("/v1/models/echo@own").json() == found["echo@own"]
        client.headers.update(theirs)
        assert "echo@own" not in listed(client)
        assert client.get("/v1/models/echo@own").status_code == 404


def test_the_card_says_what_the_model_can_do() -> None:
    source = "{% if tools %}{{ tools }}{% endif %}<think> <tool_call> {'arguments': 1}"
    card = ModelCard("m", "gguf", "gguf", Path("none"), 1, 1, chat_template=source)
    shown = checked(Model, model(card))
    assert shown["capabilities"] == {
        "vision": False,
        "tools": True,
        "thinking": True,
        "structured_outputs": True,
    }
    assert shown["chat_template"] == {
        "source": "model",
        "tools": "native",
        "output_format": "hermes",
    }
    embedding = replace(card, tasks=("embedding",))
    assert checked(Model, model(embedding))["chat_template"] is None


def test_one_model_is_as_in_the_list(echo: httpx.Client) -> None:
    assert all(echo.get(f"/v1/models/{name}").json() == each for name, each in listed(echo).items())


def test_health_needs_no_key_and_says_ok(echo: httpx.Client) -> None:
    health = checked(Health, echo.get("/v1/health").json())
    assert health["status"] == "ok"
    own = [name for name in listed(echo) if "@" not in name]
    assert health["models"]["available"] == len(own)
    assert health["memory"] == {"gpu_memory_used_gb": 0.0}
