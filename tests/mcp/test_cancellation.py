"""Calls that nobody waits for any more stop the engine."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest

from tests.mcp.connecting import MODES, Mode, called, connected
from tests.mcp.stopping import ENDLESS, EchoServer
from tests.mcp.wire import INITIALIZE, legacy, messages, modern

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_gives_up_stops_the_engine(echo_server: EchoServer, mode: Mode) -> None:
    async with connected(echo_server.client, mode) as client:
        with echo_server.standing_still():
            calling = asyncio.create_task(client.call_tool("chat", ENDLESS))
            await echo_server.wait_until(1)
            calling.cancel()
            with suppress(asyncio.CancelledError):
                await calling
            await echo_server.wait_until(0)
        assert await called(client, "chat", message="still here", model="echo") == ["still here"]


@pytest.mark.parametrize("era", [legacy, modern])
async def test_hanging_up_stops_the_engine(echo_server: EchoServer, era: Any) -> None:
    asked = era("tools/call", name="chat", arguments=ENDLESS)
    address = echo_server.client.base_url
    request = httpx.Request("POST", f"{address}/mcp", **asked)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with echo_server.standing_still():
        with socket.create_connection((address.host, address.port or 80)) as raw:
            raw.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + request.read())
            await echo_server.wait_until(1)
        await echo_server.wait_until(0)


async def test_a_message_cancels_the_call_of_its_session_alone(echo_server: EchoServer) -> None:
    """Numbers of requests are those of a session: everybody counts from 1."""
    base = str(echo_server.client.base_url)
    async with httpx2.AsyncClient(base_url=base, timeout=60) as http:
        started = [await http.post("/mcp", **INITIALIZE) for _ in range(2)]
        sessions = [{"mcp-session-id": one.headers["mcp-session-id"]} for one in started]
        asked = legacy("tools/call", name="chat", arguments=ENDLESS)
        with echo_server.standing_still():
            calls = [
                asyncio.create_task(
                    http.post("/mcp", json=asked["json"], headers=asked["headers"] | session)
                )
                for session in sessions
            ]
            await echo_server.wait_until(2)
            note = {
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": 1, "reason": "the user pressed Escape"},
            }
            for session in ({}, sessions[0]):  # the first names nobody's call
                assert echo_server.active() == 2
                headers = asked["headers"] | session
                assert (await http.post("/mcp", json=note, headers=headers)).status_code == 202
            await echo_server.wait_until(1)
            assert "cancelled" in messages((await calls[0]).text)[-1]["error"]["message"]
            assert not calls[1].done()
        assert messages((await calls[1]).text)[-1]["result"]["content"][0]["text"] == "hi"
