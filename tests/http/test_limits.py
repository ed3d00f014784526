"""What a request body may be. Every refusal is a 4xx that names the culprit, never a 500."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.web.schema import WireModel
from tests.conftest import serving

ROUTES = ["/api/v1/chat", "/api/v2/chat", "/api/v2/chat/stream"]
JSON = {"Content-Type": "application/json"}


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid-request"
    return [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("route", ROUTES)
def test_unknown_fields_are_named(echo: httpx.Client, route: str) -> None:
    asked = echo.post(route, json={"message": "hi", "stream": True, "temprature": 1})
    assert pointers(asked) == ["/stream", "/temprature"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", "1"),
        ("top_k", -1),
        ("top_k", 1001),
        ("top_k", 1.5),
        ("top_p", 0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("repeat_penalty", 0),
        ("repeat_penalty", 2.1),
        ("presence_penalty", -2.1),
        ("presence_penalty", 2.1),
        ("frequency_penalty", -2.1),
        ("frequency_penalty", 2.1),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", True),
        ("max_tokens", 0),
        ("max_tokens", 32769),
        ("stop", ["x"] * 9),
        ("stop", 1),
        ("message", ""),
        ("message", 1),
        ("message", None),
        ("message", "a\0b"),
        ("model", ""),
        ("model", "../../etc/passwd\0"),
        ("history", {}),
        ("system", "\0"),
    ],
)
def test_a_bad_value_is_refused_by_name(echo: httpx.Client, field: str, value: object) -> None:
    answer = echo.post("/api/v1/chat", json={"message": "hi"} | {field: value})
    assert pointers(answer) == [f"/{field}"]


@pytest.mark.parametrize("stop", ["", "x" * 65, "\0"])
def test_each_stop_text_is_checked(echo: httpx.Client, stop: str) -> None:
    assert pointers(echo.post("/api/v1/chat", json={"message": "hi", "stop": stop})) == ["/stop/0"]


@pytest.mark.parametrize(
    "chosen",
    [
        {"temperature": 0, "top_k": 0, "top_p": 1, "min_p": 0, "seed": 0, "stop": []},
        {"temperature": 2, "top_k": 1000, "min_p": 1, "repeat_penalty": 2, "seed": 2**32 - 1},
        {"presence_penalty": -2, "frequency_penalty": 2, "max_tokens": 32768, "stop": "x" * 64},
        {"seed": None, "max_tokens": None, "system": None, "model": None, "history": []},
    ],
)
def test_the_borders_are_allowed(echo: httpx.Client, chosen: dict[str, Any]) -> None:
    answer = echo.post("/api/v1/chat", json={"message": "hi"} | chosen)
    assert answer.status_code in {200, 400}, answer.text  # 32768 tokens overflow this context


def test_a_system_turn_is_sent_to_its_field(echo: httpx.Client) -> None:
    history = [{"role": "system", "content": "Be kind."}]
    answer = echo.post("/api/v1/chat", json={"message": "hi", "history": history})
    assert pointers(answer) == ["/history/0/role"]
    assert "'system'" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"message"',
        b'{"message": "hi", "temperature": NaN}',
        b'{"message": "hi", "temperature": Infinity}',
        b'{"message": "hi", "temperature": 1e999}',
        b'{"message": "hi", "seed": ' + b"9" * 5000 + b"}",
        b'{"message": "\\ud800"}',
        b'{"message": "hi", "\\ud800": 1}',
        b'{"message": "\xff\xfe"}',
        b'{"message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        json.dumps({"message": "hi"} | {f"f{number}": 1 for number in range(5000)}).encode(),
    ],
    ids=range(14),
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_broken_body_is_the_clients_fault(echo: httpx.Client, route: str, raw: bytes) -> None:
    answer = echo.post(route, content=raw, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["code"] in {"malformed-body", "invalid-request"}
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_only_json_is_taken(echo: httpx.Client, media: str) -> None:
    answer = echo.post("/api/v1/chat", content=b'{"message":"hi"}', headers={"Content-Type": media})
    assert (answer.status_code, answer.json()["code"]) == (415, "media-type-not-supported")


def test_json_may_name_its_charset(echo: httpx.Client) -> None:
    media = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert echo.post("/api/v1/chat", content=b'{"message":"hi"}', headers=media).is_success


def test_no_wire_model_takes_what_json_has_not() -> None:
    class Loose(WireModel):
        number: float

    for value in (float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            Loose(number=value)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    with serving(models_dir=folder, max_request_bytes=2000, max_history_length=2) as client:
        yield client


def test_the_history_has_a_limit(small: httpx.Client) -> None:
    turns = [{"role": "user", "content": "x"}] * 3
    assert small.post("/api/v1/chat", json={"message": "hi", "history": turns[:2]}).is_success
    refused = small.post("/api/v2/chat/stream", json={"message": "hi", "history": turns})
    assert pointers(refused) == ["/history"]
    assert "MAX_HISTORY_LENGTH" in refused.json()["detail"]


def pieces(size: int) -> Iterator[bytes]:
    yield b'{"message": "'
    for _ in range(size // 100):
        yield b"x" * 100
    yield b'"}'


def test_a_declared_body_has_a_limit(small: httpx.Client) -> None:
    assert small.post("/api/v1/chat", content=b"".join(pieces(1900)), headers=JSON).is_success
    refused = small.post("/api/v1/chat", content=b"".join(pieces(2000)), headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (413, "request-too-large")
    assert "2000" in refused.json()["detail"]


def test_a_declared_body_is_refused_before_it_comes(small: httpx.Client) -> None:
    head = (
        b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 5000\r\n\r\n"
    )
    with socket.create_connection((small.base_url.host, small.base_url.port or 80)) as raw:
        raw.settimeout(60)
        raw.sendall(head)
        assert raw.recv(65536).split(b" ")[1] == b"413"


def test_an_undeclared_body_has_the_same_limit(small: httpx.Client) -> None:
    assert small.post("/api/v1/chat", content=pieces(1900), headers=JSON).is_success
    refused = small.post("/api/v1/chat", content=pieces(2000), headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (413, "request-too-large")


def test_a_lying_length_gets_no_more_in(small: httpx.Client) -> None:
    body = b"".join(pieces(5000))
    head = (
        b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 20\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((small.base_url.host, small.base_url.port or 80)) as raw:
        raw.sendall(head + body)
        answer = raw.recv(65536)
    assert answer.split(b" ")[1] in {b"400", b"422"}
