"""Every answer under /v1/messages that is an error has Anthropic's form, whoever refused it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.anthropic.errors import body_of, render
from app.anthropic.models.errors import ERRORS
from app.idempotency.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from app.provider.errors import (
    EngineBusy,
    EngineUnavailable,
    ModelConflict,
    ModelNotLoadable,
    UnsupportedConstraint,
)
from tests.conftest import serving
from tests.http.anthropic import COUNT, MESSAGES, USER, body, refused
from tests.http.test_errors import SAMPLES

KEY = {"x-api-key": "secret"}
INVALID = "invalid_request_error"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    chosen: dict[str, Any] = {"max_request_bytes": 5000, "api_keys": ["secret"], "max_images": 0}
    with serving(cors_origins=["https://a.example"], **chosen) as client:
        yield client


def sent(**fields: Any) -> bytes:
    return json.dumps(body() | fields).encode()


JSON = {"content-type": "application/json"}
EVIL = {**KEY, **JSON, "origin": "https://evil.example"}
BEARER = {"authorization": "Bearer secret"}
REFUSED: dict[str, tuple[tuple[str, str, dict[str, str], bytes], tuple[int, str]]] = {
    "no key": (("POST", MESSAGES, JSON, sent()), (401, "authentication_error")),
    "a wrong key": (
        ("POST", COUNT, {**JSON, "x-api-key": "x"}, sent()),
        (401, "authentication_error"),
    ),
    "another origin": (("POST", MESSAGES, EVIL, sent()), (403, "permission_error")),
    "no address": (("POST", f"{MESSAGES}/batches", KEY, b"{}"), (404, "not_found_error")),
    "no method": (("GET", MESSAGES, KEY, b""), (405, INVALID)),
    "no model": (
        ("POST", MESSAGES, {**BEARER, **JSON}, sent(model="claude-opus-4-5")),
        (404, "not_found_error"),
    ),
    "large": (("POST", MESSAGES, {**KEY, **JSON}, b"x" * 5001), (413, "request_too_large")),
    "no JSON": (("POST", MESSAGES, {**KEY, **JSON}, b"{"), (400, INVALID)),
    "nothing": (("POST", MESSAGES, {**KEY, **JSON}, b""), (400, INVALID)),
    "another type": (
        ("POST", MESSAGES, {**KEY, "content-type": "text/plain"}, b"{}"),
        (400, INVALID),
    ),
    "nested": (("POST", MESSAGES, {**KEY, **JSON}, b"[" * 4000), (400, INVALID)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_have_the_form(client: httpx.Client, case: str) -> None:
    (method, path, headers, content), (status, kind) = REFUSED[case]
    answer = client.request(method, path, headers=headers, content=content)
    assert refused(answer)[:2] == (status, kind)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no max_tokens": ({"max_tokens": None}, "max_tokens: "),
    "no messages": ({"messages": []}, "messages: "),
    "an unknown field": ({"foo": 1}, "foo: "),
    "a field that is not supported": ({"mcp_servers": [{"url": "x"}]}, "mcp_servers: this server"),
    "an unknown block": (
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
        "messages.0.user.content.0: Input tag 'document'",
    ),
    "prefill": (
        {"messages": [USER, {"role": "assistant", "content": "{"}]},
        "messages.1: the last message is the user's",
    ),
    "a deep schema": (
        {"tools": [{"name": "f", "input_schema": {"a": []}}], "tool_choice": {"type": "tool"}},
        "tool_choice.tool.name: Field required",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named(client: httpx.Client, case: str) -> None:
    fields, begin = MISTAKES[case]
    answer = client.post(MESSAGES, content=sent(**fields), headers={**KEY, **JSON})
    status, kind, message = refused(answer)
    assert (status, kind) == (400, INVALID)
    assert message.startswith(begin), message


def test_pages_may_read_the_id_of_the_request(client: httpx.Client) -> None:
    answer = client.post(MESSAGES, headers={**KEY, "origin": "https://a.example"})
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {"request-id", "x-should-retry", "retry-after"} <= set(exposed)


def test_too_many_pictures(client: httpx.Client) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}
    messages = [{"role": "user", "content": [image]}]
    answer = client.post(MESSAGES, json=body() | {"messages": messages}, headers=KEY)
    assert refused(answer)[:2] == (413, "request_too_large")


@pytest.mark.parametrize(
    ("error", "status", "kind", "again", "wait"),
    [
        (UnsupportedConstraint("no such keyword"), 400, INVALID, None, None),
        (ModelConflict("two"), 409, "conflict_error", "false", None),
        (ModelNotLoadable("bad"), 409, "conflict_error", "false", None),
        (EngineBusy("full", 1.5), 529, "overloaded_error", None, "2"),
        (EngineUnavailable("gone", 1000.0), 529, "overloaded_error", None, "120"),
        (IdempotencyKeyInUse(), 409, "conflict_error", None, "1"),
        (IdempotencyKeyReused(), 422, INVALID, None, None),
        (ValueError("secret"), 500, "api_error", "false", None),
    ],
)
def test_clients_learn_whether_to_try_again(
    error: Exception, status: int, kind: str, again: str | None, wait: str | None
) -> None:
    answer = render(error, "r1")
    found = json.loads(bytes(answer.body))
    assert (answer.status_code, found["error"]["type"]) == (status, kind)
    assert answer.headers.get("x-should-retry") == again
    assert answer.headers.get("retry-after") == wait
    assert (found["request_id"], answer.headers["request-id"]) == ("r1", "r1")
    assert "secret" not in found["error"]["message"]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_has_a_form(error: Exception) -> None:
    answer = render(error, "r1")
    found = json.loads(bytes(answer.body))
    assert found == body_of(error, "r1")  # in the middle of a stream as well
    documented = answer.status_code in ERRORS or answer.status_code >= 500
    assert documented or answer.status_code in {408, 412, 422, 431}  # of middleware and the server
    assert (found["error"]["type"] == "api_error") == (answer.status_code in range(500, 529))
    assert found["error"]["message"]
