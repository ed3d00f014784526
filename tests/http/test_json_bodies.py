"""The same table of JSON bodies for every version: what one reads, all read, with one answer."""

from __future__ import annotations

import codecs
import json
from typing import Any

import httpx
import pytest

ROUTES = [f"/api/{name}/chat" for name in ("v1", "v2", "v3", "v4", "v5", "v6")]
TEXT = "héllo ☃ 안녕 😀"
BODY = json.dumps({"message": TEXT}, ensure_ascii=False)
JSON = "application/json"

READ = {
    "utf-8": BODY.encode(),
    "utf-8 with a mark": codecs.BOM_UTF8 + BODY.encode(),
    "utf-16": BODY.encode("utf-16"),
    "utf-16 big-endian with a mark": codecs.BOM_UTF16_BE + BODY.encode("utf-16-be"),
    "utf-16 little-endian": BODY.encode("utf-16-le"),
    "utf-16 big-endian": BODY.encode("utf-16-be"),
    "utf-32": BODY.encode("utf-32"),
    "utf-32 big-endian with a mark": codecs.BOM_UTF32_BE + BODY.encode("utf-32-be"),
    "utf-32 little-endian": BODY.encode("utf-32-le"),
    "utf-32 big-endian": BODY.encode("utf-32-be"),
    "escapes": json.dumps({"message": TEXT}).encode(),
    "blanks around": b"\r\n\t " + BODY.encode() + b"\n",
    "a field twice": b'{"message": "x", "message": ' + json.dumps(TEXT).encode() + b"}",
}

FAULTY = {
    "nothing": b"",
    "blanks": b"  ",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"message"',
    "a number": b"1",
    "latin-1": b'{"message": "\xe9"}',
    "no utf-8": b'{"message": "\xff\xfe"}',
    "half a character": b'{"message": "\xe2\x98"}',
    "overlong": b'{"message": "\xc0\xaf"}',
    "half a pair in utf-8": b'{"message": "\xed\xa0\x80"}',
    "half a pair escaped": b'{"message": "\\ud800"}',
    "a pair the wrong way round": b'{"message": "\\ude00\\ud83d"}',
    "half a pair in a key": b'{"message": "a", "\\ud800": 1}',
    "utf-16 cut off": BODY.encode("utf-16-le") + b"x",
    "utf-32 cut off": BODY.encode("utf-32-le") + b"x",
    "NaN": b'{"message": "a", "temperature": NaN}',
    "infinite": b'{"message": "a", "temperature": Infinity}',
    "beyond a float": b'{"message": "a", "temperature": 1e999}',
    "a long number": b'{"message": "a", "seed": ' + b"9" * 5000 + b"}",
    "a leading zero": b'{"message": "a", "seed": 01}',
    "a control character": b'{"message": "a\x01"}',
    "a tab": b'{"message": "a\tb"}',
    "NUL": b'{"message": "a\\u0000"}',
    "a bad escape": b'{"message": "\\x41"}',
    "more behind": b'{"message": "a"}x',
    "a comma": b'{"message": "a",}',
    "a no-break space": b'\xc2\xa0{"message": "a"}',
    "cut off": b'{"message": "a"',
    "too deep": b'{"message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep": b'{"message": ' + b"[" * 500 + b"]" * 500 + b"}",
    "unknown fields": json.dumps({"message": "a"} | {f"f{n}": 1 for n in range(50)}).encode(),
}

TYPES = [
    "Application/JSON",
    "application/json;",
    "application/json\t; charset=utf-8",
    "application/json; charset=utf-16",
    "application/json;charset=iso-8859-1",
    "application/json; charset=nothing",
    'application/json; a="b;c"',
]

OTHER_TYPES = [
    None,
    "",
    "json",
    "text/json",
    "text/plain",
    "application/problem+json",
    "application/vnd.api+json",
    "application/json-seq",
    "application/json, text/plain",
    "application/json application/json",
    "application/x-www-form-urlencoded",
]


def ask(client: httpx.Client, route: str, body: bytes, kind: str | None = JSON) -> httpx.Response:
    return client.post(route, content=body, headers={} if kind is None else {"Content-Type": kind})


def content_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    message: str = body["content"] if "content" in body else body["message"]["content"]
    return message


def refused(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    del body["request_id"]
    return body


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("body", READ.values(), ids=READ)
def test_every_version_reads_every_encoding(echo: httpx.Client, route: str, body: bytes) -> None:
    assert content_of(ask(echo, route, body)) == TEXT


@pytest.mark.parametrize("body", FAULTY.values(), ids=FAULTY)
def test_every_version_refuses_alike(echo: httpx.Client, body: bytes) -> None:
    """Only what cannot be read at all has another status from v5 on, which was released with it."""
    first, *others, v5, newest = [refused(ask(echo, route, body)) for route in ROUTES]
    assert all(other == first for other in others)
    assert newest == v5
    if first["status"] == 400:
        assert (first["code"], newest["code"]) == ("malformed-body", "invalid-request")
    else:
        assert (first["code"], newest) == ("invalid-request", first)


@pytest.mark.parametrize("kind", TYPES)
def test_parameters_of_the_type_change_nothing(echo: httpx.Client, kind: str) -> None:
    """JSON names no charset (RFC 8259, section 11): the bytes say how they are written."""
    for route in ROUTES:
        assert content_of(ask(echo, route, BODY.encode(), kind)) == TEXT


@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_other_types_are_refused_alike(echo: httpx.Client, kind: str | None) -> None:
    for route in ROUTES:
        answer = ask(echo, route, BODY.encode(), kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "media-type-not-supported")


@pytest.mark.parametrize("version", ["v4", "v5"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-be"])
def test_a_conversation_is_imported_from_every_encoding(
    echo: httpx.Client, version: str, encoding: str
) -> None:
    chatted = echo.post("/api/v4/chat", content=READ["utf-8"], headers={"Content-Type": JSON})
    kept = chatted.json()["conversation_id"]
    file = echo.get(f"/api/v4/conversations/{kept}/export").text
    made = ask(echo, f"/api/{version}/conversations/import", file.encode(encoding))
    assert made.status_code == 201, made.text
    opened = echo.get(f"/api/v4/conversations/{made.json()['id']}").json()
    assert opened["messages"][0]["content"] == TEXT


@pytest.mark.parametrize("route", ["/api/v6/tokens", "/api/v5/vision/chat", "/api/v6/chat/stream"])
def test_routes_that_read_bodies_themselves_do_so_too(echo: httpx.Client, route: str) -> None:
    bodies = READ.values()
    assert {ask(echo, route, body).status_code for body in bodies} == {200}
