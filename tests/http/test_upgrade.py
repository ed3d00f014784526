"""Clients that offer HTTP/2 over plain text, as curl, Java, Kotlin and Spring do."""

from __future__ import annotations

import json
import shutil
import subprocess

import httpx
import pytest

from tests.http import wire

ASK = json.dumps({"message": "hello"}).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ASK), ASK)
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
OFFERS = {
    "curl": OFFER,
    "java": OFFER.replace(b"Upgrade, HTTP2-Settings", b"upgrade,http2-settings"),
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
    "other": b"Upgrade: foo/2\r\nConnection: upgrade\r\n",
}
ROUTES = ["/api/v1/chat", "/api/v4/chat", "/api/v5/chat"]


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("route", ROUTES)
def test_an_offer_to_upgrade_costs_no_body(echo: httpx.Client, route: str, offer: bytes) -> None:
    found = wire.talk(echo, wire.request("POST", route, ASK, offer))
    assert found is not None
    assert found.status == 200, found.body
    assert "hello" in found.body.decode()


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_a_body_that_comes_later_or_in_chunks_is_read_too(echo: httpx.Client, offer: bytes) -> None:
    whole = wire.request("POST", "/api/v1/chat", ASK, offer)
    head = whole[: -len(ASK)]
    later = wire.talk(echo, head, ASK[:5], ASK[5:], pause=0.05)
    chunked = b"Transfer-Encoding: chunked\r\n" + wire.JSON + offer
    pieces = wire.talk(echo, wire.request("POST", "/api/v1/chat", headers=chunked) + CHUNKED)
    assert [found and found.status for found in (later, pieces)] == [200, 200]


def test_the_connection_goes_on_in_http_1(echo: httpx.Client) -> None:
    with wire.connected(echo) as raw:
        for route in ROUTES:
            wire.send(raw, [wire.request("POST", route, ASK, OFFER)])
            found = wire.answer(raw)
            assert found is not None
            assert found.status == 200
            assert "upgrade" not in found.headers


def test_a_stream_may_be_asked_for_too(echo: httpx.Client) -> None:
    with wire.connected(echo) as raw:
        wire.send(raw, [wire.request("POST", "/api/v2/chat/stream", ASK, OFFER)])
        text = b""
        while b"event: done" not in text:
            text += wire.some(raw)
    assert text.startswith(b"HTTP/1.1 200")


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real one."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if "HTTP2" not in version.stdout:
        pytest.skip("this curl speaks no HTTP/2")
    return subprocess.run(
        [program, "-s", "--max-time", "60", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("route", ROUTES)
def test_curl_with_http2(echo: httpx.Client, route: str) -> None:
    json_header = ["-H", "Content-Type: application/json"]
    address = str(echo.base_url.join(route))
    done = curl("--http2", *json_header, "-d", ASK.decode(), "-w", "\n%{http_code}", address)
    body, _, status = done.stdout.rpartition("\n")
    assert status == "200", body
    assert "hello" in body


def test_http2_without_asking_is_refused_in_words(echo: httpx.Client) -> None:
    """What ``curl --http2-prior-knowledge`` sends."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    assert wire.problem(wire.talk(echo, preface)) == (505, "http-version-not-supported")
