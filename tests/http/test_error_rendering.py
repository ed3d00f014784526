"""Errors are answered in the form of the dialect whose path was asked for, wherever they arise."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Response
from starlette.responses import PlainTextResponse

from app import main
from app.web.error_codes import kind_of_error
from app.web.error_rendering import headers_of
from tests.conftest import serving

KEY = {"Authorization": "Bearer secret"}
TOY = "text/x-toy"

router = APIRouter(prefix="/toy")


@router.post("/body")
async def _body(body: dict[str, int]) -> dict[str, int]:
    return body


@router.get("/bug")
async def _bug() -> None:
    raise ValueError("a bug")


def _render(error: Exception, request_id: str) -> Response:
    status, code, _ = kind_of_error(error)
    return PlainTextResponse(f"{code} {request_id}", status, headers_of(error), TOY)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(main.ERROR_RENDERERS, "/toy", _render)
        chosen: dict[str, Any] = {
            "max_request_bytes": 1024,
            "max_header_bytes": 4096,
            "api_keys": ["secret"],
        }
        with serving(routers=[router], **chosen) as client:
            yield client


CASES = {
    "no key": ("GET", "bug", {}, b"", "401 api-key-required"),
    "another origin": (
        "POST",
        "body",
        {**KEY, "Origin": "https://evil.example"},
        b"{}",
        "403 origin-not-allowed",
    ),
    "a declared body": ("POST", "body", KEY, b"x" * 1025, "413 request-too-large"),
    "large headers": ("GET", "bug", {**KEY, "X-Large": "x" * 5000}, b"", "431 headers-too-large"),
    "no such address": ("GET", "nothing", KEY, b"", "404 not-found"),
    "no such method": ("PUT", "body", KEY, b"", "405 method-not-allowed"),
    "a broken body": ("POST", "body", KEY, b"{", "422 invalid-request"),
}


def sent(client: httpx.Client, prefix: str, case: str) -> tuple[httpx.Response, str]:
    method, path, headers, content, expected = CASES[case]
    kind = {"Content-Type": "application/json"} if content else {}
    return client.request(
        method, f"/{prefix}/{path}", headers={**headers, **kind}, content=content
    ), expected


@pytest.mark.parametrize("case", CASES)
def test_a_dialect_renders_what_fails_under_its_prefix(client: httpx.Client, case: str) -> None:
    answer, expected = sent(client, "toy", case)
    code, request_id = answer.text.split(" ")
    assert f"{answer.status_code} {code}" == expected
    assert answer.headers["content-type"].startswith(TOY)
    assert request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("prefix", ["api/v1", "toys"])
def test_all_else_is_problem_details(client: httpx.Client, prefix: str, case: str) -> None:
    answer, expected = sent(client, prefix, case)
    assert answer.headers["content-type"] == "application/problem+json"
    if case not in {"no such method", "a broken body"}:  # those need the route
        assert f"{answer.status_code} {answer.json()['code']}" == expected


def test_a_body_that_grows_too_large(client: httpx.Client) -> None:
    chunks = iter([b"x" * 600, b"x" * 600])
    headers = {**KEY, "Content-Type": "application/json"}
    answer = client.post("/toy/body", content=chunks, headers=headers)
    assert answer.status_code == 413
    assert answer.text.startswith("request-too-large ")


def test_a_bug(client: httpx.Client) -> None:
    answer = client.get("/toy/bug", headers=KEY)
    assert answer.status_code == 500
    assert answer.text.startswith("internal-error ")


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"GET /toy/bug?x=1 HTTP/1.1\r\nX: " + b"x" * 9000, TOY.encode()),
        (b"GET /api/v1/models HTTP/1.1\r\nX: " + b"x" * 9000, b"application/problem+json"),
        (b"x" * 9000, b"application/problem+json"),
    ],
)
def test_a_head_that_never_ends(client: httpx.Client, head: bytes, form: bytes) -> None:
    where = client.base_url
    with socket.create_connection((where.host, where.port or 80), timeout=60) as raw:
        raw.sendall(head)
        received = b""
        while block := raw.recv(65536):
            received += block
    assert received.startswith(b"HTTP/1.1 431 ")
    assert b"content-type: " + form in received.lower()
