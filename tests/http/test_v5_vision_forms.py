"""Pictures as files of a form, as Swagger's file button sends them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import versions
from app.v5.models.bodies import FORM_FIELDS
from app.v5.models.chat import ChatRequest
from app.v6.models.options import FORM_FIELDS as NEW_FORM_FIELDS
from tests.conftest import serving
from tests.http.events import parsed
from tests.http.vision import CHAT, PLAIN, STREAM, URL, asked, picture, problem, shown

BOUNDARY = "----a-line"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def client(empty_models: Path) -> Iterator[httpx.Client]:
    bounds: dict[str, Any] = {
        "max_image_bytes": 50_000,
        "max_images": 3,
        "max_request_bytes": 10**7,
    }
    with serving(models_dir=empty_models, **bounds) as client:
        yield client


def form(
    client: httpx.Client, *pictures: bytes, field: str = "images", route: str = CHAT, **texts: str
) -> httpx.Response:
    files = [(field, (f"{at}.bin", content)) for at, content in enumerate(pictures)]
    data = {"message": "What is it?"} | texts
    return client.post(route, data=data, files=files or [("images", ("", b""))])


def part(name: str, content: bytes, file: str = "") -> bytes:
    named = f'; filename="{file}"' if file else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
MESSAGE = part("message", b"What is it?")


def test_files_are_the_pictures_of_the_question(client: httpx.Client) -> None:
    answer = form(client, picture(40, 30), picture(50, 30, "JPEG")).json()
    assert shown(answer) == ["40x30", "50x30"]
    assert [one["original"]["mime"] for one in answer["images"]] == ["image/png", "image/jpeg"]
    assert shown(form(client, picture(), field="files").json()) == ["40x30"]


@pytest.mark.parametrize(
    ("version", "names"), [("v5", FORM_FIELDS), ("v6", (*FORM_FIELDS, *NEW_FORM_FIELDS))]
)
def test_a_form_that_is_sent_as_swagger_fills_it_in_is_answered(
    client: httpx.Client, version: str, names: tuple[str, ...]
) -> None:
    """It fills in the examples, and sends what is empty, too: fields, and a file not chosen."""
    path = CHAT.replace("v5", version)
    body = versions.document(version)["paths"][path]["post"]["requestBody"]
    fields = body["content"]["multipart/form-data"]["schema"]["properties"]
    filled = {name: field["example"] for name, field in fields.items() if name != "images"}
    assert set(filled) == {*names} - {"images"}
    filled["images"] = fields["images"]["items"]["example"]
    answer = client.post(path, data=filled, files=[("images", ("a.png", picture()))])
    assert (answer.status_code, shown(answer.json())) == (200, ["40x30"])


def test_a_form_is_the_same_as_json(client: httpx.Client) -> None:
    plain = asked(client, "What is it?", picture(), max_tokens=1, system="Be brief.")
    answer = form(client, picture(), max_tokens="1", system="Be brief.").json()
    assert [answer[key] for key in ("images", "message", "finish_reason", "usage")] == [
        plain[key] for key in ("images", "message", "finish_reason", "usage")
    ]
    assert answer["finish_reason"] == "length"


def test_every_kind_of_field(client: httpx.Client) -> None:
    first = form(client, picture(), temperature="0", seed="7", stop='["x"]', top_k="1.0").json()
    more: dict[str, str] = {
        "conversation_id": first["conversation_id"],
        "parent_id": "null",
        "model": "echo-vision",
        "detail": "low",
        "overflow": "error",
        "when_busy": "wait",
        "system": "",
        "max_tokens": "",
    }
    answer = form(client, picture(600, 300), **more).json()
    assert shown(answer) == ["512x256"]
    wrapped = form(client, message="hi", template="default", variables="{}").json()
    assert wrapped["template"] == "default"


def test_a_form_streams_too(client: httpx.Client) -> None:
    events = parsed(form(client, picture(), route=STREAM).text)
    assert (events[0].name, events[-1].name) == ("message", "done")
    assert events[-1].data["images"][0]["width"] == 40


def test_a_file_that_was_not_chosen_is_none(client: httpx.Client) -> None:
    assert form(client).json()["images"] == []


@pytest.mark.parametrize(
    ("texts", "pointer"),
    [
        ({"message": ""}, "/message"),
        ({"temperature": "warm"}, "/temperature"),
        ({"temperature": "3"}, "/temperature"),
        ({"max_tokens": "1.5"}, "/max_tokens"),
        ({"variables": "["}, "/variables"),
        ({"variables": "[" * 100_000}, "/variables"),
        ({"tempratur": "1"}, "/tempratur"),
        ({"detail": "most"}, "/detail"),
        ({"overflow": "none"}, "/overflow"),
        ({"system": "\0"}, "/system"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, texts: dict[str, str], pointer: str) -> None:
    refused = form(client, picture(), **texts)
    assert problem(refused) == (422, "invalid-request")
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (MESSAGE, ""),
        (MESSAGE + part("images", b"GIF89a", "a.gif"), ""),
        (b"no form at all", ""),
        (MESSAGE + MESSAGE + END, "/message"),
        (MESSAGE + part("images", b"data:image/png;base64,") + END, "/images"),
        (MESSAGE + part("photo", b"GIF89a", "a.gif") + END, "/photo"),
        (part("message", b"\xff") + END, "/message"),
        (MESSAGE + part("system", b"x" * 4_000_001) + END, "/system"),
        (MESSAGE + b"".join(part(f"f{at}", b"") for at in range(65)) + END, ""),
        (END, "/message"),
    ],
)
def test_a_broken_form_is_a_sentence(client: httpx.Client, body: bytes, pointer: str) -> None:
    refused = client.post(CHAT, content=body, headers=FORM)
    assert problem(refused) == (422, "invalid-request")
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'x' * 300}"])
def test_a_form_needs_a_boundary(client: httpx.Client, boundary: str) -> None:
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    assert problem(client.post(CHAT, content=MESSAGE + END, headers=headers))[0] == 422


def test_too_much_is_refused_while_it_comes_in(client: httpx.Client) -> None:
    """The end of the body is never sent, and not waited for."""
    too_large = part("images", b"\x89PNG" + bytes(60_000), "a.png")
    four = b"".join(part("images", picture(), f"{at}.png") for at in range(4))
    for content, expected in ((too_large, b"image-too-large"), (four, b"too-many-images")):
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
            "Content-Length: 100000\r\n\r\n"
        )
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as raw:
            raw.settimeout(60)
            raw.sendall(head.encode() + MESSAGE + content)
            received = b""
            while expected not in received and (more := raw.recv(65536)):
                received += more
            assert received.startswith(b"HTTP/1.1 413 ")
            assert expected in received


def test_only_vision_chat_takes_forms(client: httpx.Client) -> None:
    assert problem(form(client, picture(), route=PLAIN)) == (415, "media-type-not-supported")
    other = client.post(CHAT, content=b"hi", headers={"Content-Type": "text/plain"})
    assert "multipart/form-data" in other.json()["detail"]


def test_a_page_of_another_site_cannot_send_one(client: httpx.Client) -> None:
    """A form needs no preflight: the check of its origin is all that stands there."""
    headers = FORM | {"Origin": "https://evil.example"}
    refused = client.post(CHAT, content=MESSAGE + END, headers=headers)
    assert problem(refused) == (403, "origin-not-allowed")


def test_a_refused_picture_leaves_no_trace(client: httpx.Client) -> None:
    before = client.get(URL).json()
    assert problem(form(client, b"no picture")) == (415, "image-type-not-supported")
    assert problem(form(client, picture(), picture()[:-20])) == (422, "image-unreadable")
    assert client.get(URL).json() == before


def test_the_documentation_offers_a_file_button() -> None:
    operation: dict[str, Any] = versions.document("v5")["paths"][CHAT]["post"]
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    files = schema["properties"].pop("images")
    assert files["items"] == {"type": "string", "format": "binary", "example": ""}
    assert {*schema["properties"]} - {"detail"} <= ChatRequest.model_fields.keys()
    assert schema["required"] == ["message"]
