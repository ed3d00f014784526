"""Calls that nobody waits for any more: the engine stops within half a second."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from tests.conftest import serving
from tests.mcp.connecting import MODES, Mode, called, connected
from tests.mcp.wire import INITIALIZE, legacy, messages, modern

pytestmark = pytest.mark.slow

LONG = {"message": "a " * 200_000, "model": "echo"}
"""More than a minute of work."""
SOON = 0.5


@pytest.fixture(scope="module")
def echo_server(empty_models: Path) -> Iterator[httpx.Client]:
    with serving(models_dir=empty_models, max_request_bytes=10**7) as client:
        assert client.post("/api/v1/chat", json={"message": "hi"}).is_success
        yield client


def active(server: httpx.Client) -> int:
    model = server.get("/health").json()["models"]["echo"]
    count: int = model["active"] + model["waiting"]
    return count


async def wait_until(server: httpx.Client, wanted: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (found := await asyncio.to_thread(active, server)) != wanted:
        assert time.monotonic() < deadline, f"{found} requests after {seconds} s"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_gives_up_stops_the_engine(
    echo_server: httpx.Client, mode: Mode
) -> None:
    async with connected(echo_server, mode) as client:
        calling = asyncio.create_task(client.call_tool("chat", {**LONG, "max_tokens": 10**6}))
        await wait_until(echo_server, 1, 30)
        calling.cancel()
        with suppress(asyncio.CancelledError):
            await calling
        await wait_until(echo_server, 0, SOON)
        assert await called(client, "chat", message="still here", model="echo") == ["still here"]


@pytest.mark.parametrize("era", [legacy, modern])
async def test_hanging_up_stops_the_engine(echo_server: httpx.Client, era: Any) -> None:
    asked = era("tools/call", name="chat", arguments={**LONG, "max_tokens": 10**6})
    request = httpx.Request("POST", f"{echo_server.base_url}/mcp", **asked)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    place = (echo_server.base_url.host, echo_server.base_url.port or 80)
    with socket.create_connection(place) as raw:
        raw.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        await wait_until(echo_server, 1, 30)
    await wait_until(echo_server, 0, SOON)


async def test_a_message_cancels_the_call_of_its_session_alone(echo_server: httpx.Client) -> None:
    """Numbers of requests are those of a session: everybody counts from 1."""
    async with httpx2.AsyncClient(base_url=str(echo_server.base_url), timeout=60) as http:
        started = [await http.post("/mcp", **INITIALIZE) for _ in range(2)]
        sessions = [{"mcp-session-id": one.headers["mcp-session-id"]} for one in started]
        asked = legacy("tools/call", name="chat", arguments={**LONG, "max_tokens": 10**6})
        calls = [
            asyncio.create_task(
                http.post("/mcp", json=asked["json"], headers=asked["headers"] | session)
            )
            for session in sessions
        ]
        await wait_until(echo_server, 2, 30)
        note = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": 1, "reason": "the user pressed Escape"},
        }
        answer = await http.post("/mcp", json=note, headers=asked["headers"] | sessions[0])
        assert answer.status_code == 202
        await wait_until(echo_server, 1, SOON)
        assert "cancelled" in messages((await calls[0]).text)[-1]["error"]["message"]
        assert not calls[1].done()
        calls[1].cancel()
    await wait_until(echo_server, 0, SOON)
