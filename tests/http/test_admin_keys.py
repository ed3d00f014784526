"""ADMIN_API_KEYS: who may decide for everybody which models are loaded, and which there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import versions
from app.config import Settings
from app.web.auth import require_safe_bind
from app.web.errors import OpenBindRefused
from tests.conftest import serving

ADMIN, USER = {"X-API-Key": "admin"}, {"X-API-Key": "user"}
ASK = {"message": "hi"}
ADMINISTER = [
    ("POST", "/models/echo/load"),
    ("DELETE", "/models/echo/load"),
    ("POST", "/models/pull"),
    ("DELETE", "/models/pull/p1"),
]
USE = [("GET", "/models"), ("GET", "/models/echo"), ("POST", "/models/echo/plan")]
USE += [("GET", "/models/pull"), ("GET", "/models/pull/p1")]
NEWEST = f"/api/{versions.NAMES[-1]}"


@pytest.fixture(scope="module")
def keyed(empty_models: Path) -> Iterator[httpx.Client]:
    """Everybody needs a key, and some have one that does more."""
    with serving(
        models_dir=empty_models, api_keys=("user",), admin_api_keys=("admin",), allow_pull=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def unkeyed(empty_models: Path) -> Iterator[httpx.Client]:
    """Everybody may use the server, but not administer it."""
    with serving(models_dir=empty_models, admin_api_keys=("admin",), allow_pull=False) as client:
        yield client


def code(client: httpx.Client, method: str, path: str, key: dict[str, str]) -> tuple[int, str]:
    body = {"name": "x/y"} if path == "/models/pull" else None
    answer = client.request(method, NEWEST + path, headers=key, json=body)
    is_problem = "problem" in answer.headers.get("content-type", "")
    return answer.status_code, answer.json()["code"] if is_problem else ""


@pytest.mark.parametrize(("method", "path"), ADMINISTER)
def test_only_an_administrator_decides_for_all(
    keyed: httpx.Client, unkeyed: httpx.Client, method: str, path: str
) -> None:
    for client, key in ((keyed, USER), (unkeyed, USER), (unkeyed, {})):
        assert code(client, method, path, key) == (403, "admin-key-required")
    assert code(keyed, method, path, {}) == (401, "api-key-required")
    for client in (keyed, unkeyed):
        assert code(client, method, path, ADMIN)[1] != "admin-key-required"
        assert client.get("/api/v1/models", headers=ADMIN).status_code == 200


@pytest.mark.parametrize(("method", "path"), USE)
def test_everybody_else_may_use_it(
    keyed: httpx.Client, unkeyed: httpx.Client, method: str, path: str
) -> None:
    for client, key in ((keyed, USER), (keyed, ADMIN), (unkeyed, {}), (unkeyed, USER)):
        status, error = code(client, method, path, key)
        assert (status, error) in {(200, ""), (404, "pull-not-found")}
        assert client.post("/api/v5/chat", json=ASK, headers=key).status_code == 200


def test_an_administrator_loads_and_unloads(keyed: httpx.Client) -> None:
    load = f"{NEWEST}/models/echo/load"
    assert "event: done" in keyed.post(load, headers=ADMIN).text
    assert keyed.delete(load, headers=USER).status_code == 403
    assert keyed.get(f"{NEWEST}/models/echo", headers=USER).json()["state"] == "ready"
    assert keyed.delete(load, headers=ADMIN).status_code == 204


def test_the_refusal_says_what_to_send(keyed: httpx.Client) -> None:
    answer = keyed.delete(f"{NEWEST}/models/echo/load", headers=USER)
    assert "ADMIN_API_KEYS" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_without_keys_for_use_everything_belongs_to_everybody(unkeyed: httpx.Client) -> None:
    made = unkeyed.post("/api/v4/chat", json=ASK, headers=ADMIN).json()["conversation_id"]
    for key in ({}, USER, ADMIN):
        opened = unkeyed.get(f"/api/v4/conversations/{made}", headers=key)
        assert opened.status_code == 200


def test_with_keys_an_administrator_has_conversations_of_its_own(keyed: httpx.Client) -> None:
    made = keyed.post("/api/v4/chat", json=ASK, headers=ADMIN).json()["conversation_id"]
    found = [keyed.get(f"/api/v4/conversations/{made}", headers=key) for key in (ADMIN, USER)]
    assert [each.status_code for each in found] == [200, 404]


def test_without_administrators_everybody_is_one(echo: httpx.Client) -> None:
    assert "event: done" in echo.post(f"{NEWEST}/models/echo/load").text


def test_administrators_alone_do_not_close_a_network() -> None:
    """Anybody who reaches the address could still use the models."""
    with pytest.raises(OpenBindRefused):
        require_safe_bind(Settings(_env_file=None, admin_api_keys=("k",)), "0.0.0.0")  # noqa: S104


def test_host_names_are_still_checked_without_keys_for_use(unkeyed: httpx.Client) -> None:
    answer = unkeyed.get("/api/v1/models", headers=ADMIN | {"Host": "evil.example"})
    assert answer.json()["code"] == "host-not-allowed"


def test_every_version_has_these_routes_guarded_or_not_at_all(unkeyed: httpx.Client) -> None:
    for name in versions.NAMES:
        for method, path in ADMINISTER:
            answer = unkeyed.request(method, f"/api/{name}{path}", json={"name": "x/y"})
            assert answer.status_code in {403, 404, 405}
            assert answer.status_code != 403 or answer.json()["code"] == "admin-key-required"


def test_the_contract_lists_the_status() -> None:
    paths = versions.document("v5")["paths"]
    for method, path in ADMINISTER:
        pattern = path.replace("echo", "{model}").replace("p1", "{job}")
        assert "403" in paths[f"/api/v5{pattern}"][method.lower()]["responses"]
    assert "admin-key-required" not in json.dumps(versions.document("v5"))
