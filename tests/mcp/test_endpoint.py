"""``/mcp`` over HTTP: both eras, and the rules that hold for every route."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.mcp import identity
from tests.conftest import serving
from tests.mcp.wire import DISCOVER, INITIALIZE, legacy, messages, modern

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"origin": "http://elsewhere.example"}


@pytest.fixture(scope="module")
def small_server(empty_models: Path) -> Iterator[httpx.Client]:
    """Only the model echo, no keys, and small bodies."""
    limits: dict[str, Any] = {"max_request_bytes": 2**16, "max_vision_request_bytes": 2**18}
    with serving(models_dir=empty_models, **limits) as client:
        yield client


def result(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = messages(answer.text)[-1]["result"]
    return found


def test_both_eras_are_served_in_any_order(small_server: httpx.Client) -> None:
    """Hosts that probe with ``server/discover`` and fall back send ``initialize`` after it."""
    for _ in range(2):
        discovered = result(small_server.post("/mcp", **DISCOVER))
        assert discovered["supportedVersions"] == list(identity.VERSIONS)
        started = small_server.post("/mcp", **INITIALIZE)
        assert result(started)["protocolVersion"] == "2025-11-25"
        assert len(result(small_server.post("/mcp", **legacy("tools/list")))["tools"]) == 9
        assert len(result(small_server.post("/mcp", **modern("tools/list")))["tools"]) == 9


@pytest.mark.parametrize("revision", identity.HANDSHAKE_VERSIONS)
def test_every_older_revision_is_agreed_on(small_server: httpx.Client, revision: str) -> None:
    asked = legacy(
        "initialize",
        protocolVersion=revision,
        capabilities={},
        clientInfo={"name": "old", "version": "1"},
    )
    assert result(small_server.post("/mcp", **asked))["protocolVersion"] == revision


def test_only_the_newest_revision_has_hints_for_caches(small_server: httpx.Client) -> None:
    assert result(small_server.post("/mcp", **modern("tools/list")))["cacheScope"] == "public"
    prompts = result(small_server.post("/mcp", **modern("prompts/list")))
    assert (prompts["cacheScope"], prompts["ttlMs"]) == ("private", 0)


def test_sessions_are_named_but_not_needed(small_server: httpx.Client) -> None:
    """After a restart clients keep the id that they had."""
    started = small_server.post("/mcp", **INITIALIZE)
    assert len(started.headers["mcp-session-id"]) == 32
    named = INITIALIZE["headers"] | {"mcp-protocol-version": "2025-11-25"}
    again = small_server.post("/mcp", json=INITIALIZE["json"], headers=named)
    assert again.headers["mcp-session-id"] != started.headers["mcp-session-id"]
    asked = legacy("tools/list")
    asked["headers"] = asked["headers"] | {"mcp-session-id": "of-another-life"}
    answer = small_server.post("/mcp", **asked)
    assert len(result(answer)["tools"]) == 9
    assert "mcp-session-id" not in answer.headers
    assert "mcp-session-id" not in small_server.post("/mcp", **DISCOVER).headers


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_is_nothing_to_listen_to(small_server: httpx.Client, method: str) -> None:
    """Clients take 405 alone for "no stream"."""
    answer = small_server.request(method, "/mcp", headers={"accept": "text/event-stream"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]["data"]["code"] == "method-not-allowed"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_other_pages_and_hosts_are_refused(small_server: httpx.Client, method: str) -> None:
    answer = small_server.request(method, "/mcp", headers=ELSEWHERE)
    assert answer.status_code == 403
    assert answer.json()["error"]["data"]["code"] == "origin-not-allowed"
    answer = small_server.request(method, "/mcp", headers={"host": "elsewhere.example"})
    assert answer.status_code == 421
    assert answer.json()["jsonrpc"] == "2.0"


def test_a_key_is_needed_where_there_are_keys(server: httpx.Client) -> None:
    with httpx.Client(base_url=server.base_url, timeout=60) as stranger:
        answer = stranger.post("/mcp", **DISCOVER)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["data"]["code"] == "api-key-required"
        for path in ("oauth-protected-resource/mcp", "oauth-authorization-server"):
            assert stranger.get(f"/.well-known/{path}").status_code == 404
    assert server.post("/mcp", **DISCOVER).is_success


def test_bodies_have_bounds(small_server: httpx.Client) -> None:
    """They may hold a picture, but no more."""
    picture = "A" * 2**17
    asked = legacy("tools/call", name="describe_image", arguments={"image": picture})
    assert (
        "image"
        in messages(small_server.post("/mcp", **asked).text)[-1]["result"]["content"][0]["text"]
    )
    asked["json"]["params"]["arguments"]["image"] = "A" * 2**18
    for content in (asked, {"content": _pieces(asked), "headers": asked["headers"]}):
        answer = small_server.post("/mcp", **content)
        assert answer.status_code == 413
        assert answer.json()["error"]["data"]["code"] == "request-too-large"


def _pieces(asked: dict[str, Any]) -> Iterator[bytes]:
    """The body without a Content-Length."""
    yield httpx.Request("POST", "http://localhost", json=asked["json"]).content


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"jsonrpc":"2.0"}'])
@pytest.mark.parametrize("era", [INITIALIZE, DISCOVER])
def test_what_is_no_message_is_refused(
    small_server: httpx.Client, era: dict[str, Any], body: bytes
) -> None:
    answer = small_server.post("/mcp", headers=era["headers"], content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in {-32700, -32600, -32602}
    assert small_server.post("/mcp", **DISCOVER).is_success


def test_the_version_is_that_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert package["project"]["version"] == identity.VERSION


def test_a_server_that_nobody_asks_imports_no_sdk() -> None:
    program = (
        "import sys; from app.lifespan import services; from app.dialects import table;"
        "[entry.load() for entry in table.DIALECTS]; table.documents();"
        "assert not {'mcp', 'mcp_types'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
