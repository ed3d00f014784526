"""Every answer under /v1 that is an error has OpenAI's form, whoever refused the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from app.dialects import table
from app.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from app.openai.errors import body_of, render
from app.provider.errors import (
    ContextOverflow,
    EngineBusy,
    EngineUnavailable,
    ModelConflict,
    ModelNotLoadable,
)
from app.web.dialect import Dialect
from app.web.error_rendering import ErrorRenderer, ErrorRenderers
from tests.conftest import serving
from tests.http.openai_wire import CHAT, QUESTION, error_of

KEY = {"Authorization": "Bearer secret"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    chosen: dict[str, Any] = {"max_request_bytes": 1024, "api_keys": ["secret"]}
    with serving(max_images=0, cors_origins=["https://a.example"], **chosen) as client:
        yield client


INVALID = "invalid_request_error"
EVIL = {**KEY, "Origin": "https://evil.example"}
REFUSED: dict[str, tuple[tuple[str, str, dict[str, str], bytes], tuple[int, str]]] = {
    "no key": (("GET", "/v1/models", {}, b""), (401, "invalid_api_key")),
    "no model": (("GET", "/v1/models/none", KEY, b""), (404, "model_not_found")),
    "no address": (("GET", "/v1/nothing", KEY, b""), (404, "unknown_url")),
    "no method": (("DELETE", "/v1/models", KEY, b""), (405, "method_not_supported")),
    "large": (("POST", "/v1/models", KEY, b"x" * 1025), (413, "request_too_large")),
    "origin": (("POST", "/v1/models", EVIL, b"{}"), (403, "origin_not_allowed")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_have_the_form(client: httpx.Client, case: str) -> None:
    (method, path, headers, content), (status, code) = REFUSED[case]
    answer = client.request(method, path, headers=headers, content=content)
    assert error_of(answer) == (status, INVALID, code)


def test_pages_may_read_the_headers_that_say_what_to_do(client: httpx.Client) -> None:
    answer = client.get("/v1/models", headers={**KEY, "Origin": "https://a.example"})
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert {"x-request-id", "retry-after", "x-should-retry"} <= set(exposed.split(", "))


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "again"),
    [
        (ContextOverflow(9, 8), 400, INVALID, "context_length_exceeded", None),
        (ModelConflict("two"), 409, INVALID, "model_conflict", "false"),
        (ModelNotLoadable("bad"), 409, INVALID, "model_not_loadable", "false"),
        (EngineBusy("full", 1.5), 429, "rate_limit_error", "rate_limit_exceeded", None),
        (EngineUnavailable("gone", 1000.0), 503, "server_error", None, None),
        (IdempotencyKeyInUse(), 409, INVALID, "idempotency_key_in_use", None),
        (IdempotencyKeyReused(), 422, INVALID, "idempotency_key_reused", None),
        (ValueError("secret"), 500, "server_error", None, "false"),
    ],
)
def test_an_error_says_whether_to_try_again(
    error: Exception, status: int, kind: str, code: str | None, again: str | None
) -> None:
    answer = render(error, "id")
    fields = body_of(error, "id")["error"]
    assert (answer.status_code, fields["type"], fields["code"]) == (status, kind, code)
    assert answer.headers.get("x-should-retry") == again
    assert int(answer.headers.get("retry-after", "1")) <= 120
    assert "secret" not in fields["message"]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One answer at a time, and nobody waits."""
    models = tmp_path_factory.mktemp("none")
    with serving(models_dir=models, engine_slots=1, max_waiting=0) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
def test_a_full_queue_is_429_before_anything_is_sent(crowded: httpx.Client, stream: bool) -> None:
    body = {"messages": [QUESTION], "n": 2, "stream": stream}
    answer = crowded.post(CHAT, json=body)
    assert error_of(answer) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert 1 <= int(answer.headers["retry-after"]) <= 120
    assert "x-should-retry" not in answer.headers
    assert crowded.post(CHAT, json={"messages": [QUESTION]}).status_code == 200


def test_a_wait_is_said_in_the_sentence_too() -> None:
    assert "try again in 1.5s" in body_of(EngineBusy("full.", 1.5), "id")["error"]["message"]


def test_the_longer_prefix_of_two_dialects_renders() -> None:
    def named(name: str) -> ErrorRenderer:
        return lambda error, request_id: Response(name)

    renderers = ErrorRenderers(named("all"), {"/v1": named("short"), "/v1/a": named("long")})
    found = [
        renderers.render(path, ValueError(), "").body
        for path in ("/v1/a/b", "/v1/ab", "/v1", "/v2")
    ]
    assert found == [b"long", b"short", b"short", b"all"]


def test_a_path_belongs_to_the_dialect_with_the_longer_prefix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load() -> Dialect:
        raise AssertionError("not needed")

    longer = table.DialectEntry("longer", "/v1/longer", load)
    monkeypatch.setattr(table, "DIALECTS", (*table.DIALECTS, longer))
    assert table.owner("/v1/longer") is table.owner("/v1/longer/x") is longer
    assert table.owner("/v1/long") is table.owner("/v1") is table.DIALECTS[0]
    assert table.owner("/v11") is table.owner("/api/v1/chat") is None
