"""How much pictures may take of the server: bytes of a body, memory of all, time of none."""

from __future__ import annotations

import base64
import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.events import parsed
from tests.http.vision import CHAT, PLAIN, STREAM, URL, asked, picture, problem, sent
from tests.media.files import many_scans, png
from tests.media.test_decoders import decoders
from tests.selection import matrix
from tests.suspending import suspend

pytestmark = pytest.mark.slow

JSON = "application/json"
FORM = "multipart/form-data; boundary=line"
LARGE = 20_000


@pytest.fixture(scope="module")
def client(empty_models: Path) -> Iterator[httpx.Client]:
    """Bodies may have 2,000 bytes, those with pictures 20,000, four of those together."""
    bounds: dict[str, Any] = {"max_request_bytes": 2000, "max_vision_request_bytes": LARGE}
    with serving(models_dir=empty_models, **bounds) as client:
        yield client


def padded(size: int, **body: Any) -> bytes:
    """A question with a picture, of exactly so many bytes."""
    bare = json.dumps({"message": "hi", "images": [sent(picture())]} | body).encode()
    return bare + b" " * (size - len(bare))


@contextmanager
def half_sent(client: httpx.Client, route: str, kind: str, content: bytes) -> Iterator[Any]:
    """A request whose body has not come to its end."""
    head = (
        f"POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {LARGE}\r\n\r\n"
    )
    address = client.base_url.host, client.base_url.port or 80
    with closing(socket.create_connection(address)) as raw:
        raw.settimeout(60)
        raw.sendall(head.encode() + content)
        yield raw


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "route", [CHAT, STREAM, PLAIN, f"{PLAIN}/stream", "/api/v5/tokens", f"{URL}/import"]
)
def test_where_pictures_are_taken_bodies_may_be_larger(client: httpx.Client, route: str) -> None:
    headers = {"Content-Type": JSON}
    fits = client.post(route, content=padded(LARGE), headers=headers)
    assert fits.status_code == (422 if route.endswith("import") else 200)
    refused = client.post(route, content=padded(LARGE + 1), headers=headers)
    assert problem(refused) == (413, "request-too-large")
    assert "MAX_VISION_REQUEST_BYTES" in refused.json()["detail"]


@pytest.mark.parametrize("route", ["/api/v4/chat", "/api/v4/tokens", f"{URL}/1/title"])
def test_elsewhere_they_may_not(client: httpx.Client, route: str) -> None:
    refused = client.post(route, content=padded(2001), headers={"Content-Type": JSON})
    assert problem(refused) == (413, "request-too-large")
    assert "MAX_REQUEST_BYTES" in refused.json()["detail"]


@pytest.mark.parametrize("kind", [JSON, FORM])
def test_a_body_of_unknown_length_is_cut_off_too(client: httpx.Client, kind: str) -> None:
    line = b'--line\r\nContent-Disposition: form-data; name="system"\r\n\r\n'
    chunks = [line if kind == FORM else b'{"message": "', *[b"x" * 1000] * 21]
    refused = client.post(CHAT, content=iter(chunks), headers={"Content-Type": kind})
    assert problem(refused) == (413, "request-too-large")


def test_all_together_take_no_more_memory_than_four(client: httpx.Client) -> None:
    start = b'--line\r\nContent-Disposition: form-data; name="system"\r\n\r\n'
    with ExitStack() as stack:
        waiting = [
            stack.enter_context(half_sent(client, CHAT, kind, begun.ljust(LARGE - 500, b"x")))
            for kind, begun in [(JSON, b'{"message": "'), *[(FORM, start)] * 4]
        ]
        answered, _, _ = select.select(waiting, [], [], 20)
        (refused,) = answered  # the last to come; the others are still being read
        response = refused.recv(65536)
        assert response.startswith(b"HTTP/1.1 429 ")
        assert b"uploads-busy" in response
        assert b"retry-after: 2" in response
        assert asked(client, "a short one", picture())
    deadline = time.monotonic() + 60
    while client.post(CHAT, content=padded(LARGE), headers={"Content-Type": JSON}).is_error:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (422, "invalid-request")),
        (b"[]", (422, "invalid-request")),
        (b'{"message"', (422, "invalid-request")),
        (b'{"message": "\\ud800"}', (422, "invalid-request")),
        (b'{"message": "\xff"}', (422, "invalid-request")),
        (b"[" * 9_000, (422, "invalid-request")),
        (b'{"message": NaN}', (422, "invalid-request")),
    ],
)
def test_what_is_no_json_is_said(
    client: httpx.Client, content: bytes, expected: tuple[int, str]
) -> None:
    refused = client.post(CHAT, content=content, headers={"Content-Type": JSON})
    assert problem(refused) == expected
    assert refused.json()["errors"][0]["detail"]


def test_a_place_in_a_json_body_is_named(client: httpx.Client) -> None:
    """As the framework does it for every other route."""
    wrong = [{"base64": ""}, {"base64": "AAAA", "url": "http://x"}, {"mime": "image/png"}]
    refused = client.post(CHAT, json={"message": "hi", "images": wrong, "more": 1})
    pointers = [error["pointer"] for error in refused.json()["errors"]]
    assert pointers == ["/images/1", "/images/2", "/more"]
    old, new = [
        client.post(route, content=b'{"a": }', headers={"Content-Type": JSON}).json()["errors"]
        for route in ("/api/v4/chat", CHAT)
    ]
    assert old == new


# ---------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def roomy(empty_models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=empty_models, max_images=2, max_image_bytes=10**6) as client:
        yield client


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([sent(picture())] * 3, (413, "too-many-images")),
        ([sent(picture()), sent(bytes(10**6 + 1))], (413, "image-too-large")),
        ([sent(png(7000, 7000, pixels=b""))], (413, "image-too-large")),
        ([sent(b"GIF89a")], (422, "image-unreadable")),
        ([{"base64": "no base64!"}], (422, "image-unreadable")),
        ([sent(b"%PDF-1.7")], (415, "image-type-not-supported")),
        ([sent(picture(), mime="image/jpeg")], (415, "image-type-mismatch")),
        ([{"url": "https://example.org/a.png"}], (403, "image-urls-off")),
    ],
)
@pytest.mark.parametrize("route", [CHAT, STREAM])
def test_a_refused_picture_leaves_no_trace(
    roomy: httpx.Client, images: list[dict[str, Any]], expected: tuple[int, str], route: str
) -> None:
    here = asked(roomy, "hi")["conversation_id"]
    before = roomy.get(URL).json(), roomy.get(f"{URL}/{here}").json()
    for more in ({}, {"conversation_id": here}):
        refused = roomy.post(route, json={"message": "What is it?", "images": images} | more)
        assert problem(refused) == expected
        assert "conversation_id" not in refused.json()
    assert (roomy.get(URL).json(), roomy.get(f"{URL}/{here}").json()) == before


def test_a_data_url_is_a_picture(roomy: httpx.Client) -> None:
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    for image in ({"url": url}, {"base64": url}):
        answer = roomy.post(STREAM, json={"message": "hi", "images": [image]})
        assert parsed(answer.text)[-1].data["images"][0]["width"] == 40


@pytest.mark.parametrize("route", [STREAM, *matrix(CHAT, PLAIN, "/api/v5/tokens")])
def test_who_hangs_up_while_a_picture_is_decoded_ends_the_decoder(
    empty_models: Path, route: str
) -> None:
    slow = {"message": "hi", "images": [sent(many_scans(3000))]}
    with serving(models_dir=empty_models, image_seconds=600) as client:
        body = json.dumps(slow).encode()
        head = f"POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n"
        address = client.base_url.host, client.base_url.port or 80
        with closing(socket.create_connection(address)) as raw:
            raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            worker = at_work()
            suspend(worker)  # it cannot get done
        deadline = time.monotonic() + 60
        while worker in decoders():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.get(URL).json()["conversations"] == []
        assert asked(client, "hi", picture())


def at_work() -> Any:
    """The process that decodes, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in decoders():
            if child.cpu_times().user > 0.3:
                return child
        time.sleep(0.01)
    raise AssertionError("nothing was decoded")
