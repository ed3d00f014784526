"""The official Python client, connected to a server of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

Mode = Literal["legacy", "auto"]
MODES: list[Mode] = ["legacy", "auto"]
"""What the client calls the revisions that begin with ``initialize``, and the newest."""

KEYS = ("key-a", "key-b")


def posted(server: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    """What REST answers to this body."""
    answer = server.post(path, json=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def got(server: httpx.Client, path: str) -> dict[str, Any]:
    """What REST has there."""
    found: dict[str, Any] = server.get(path).raise_for_status().json()
    return found


@asynccontextmanager
async def connected(
    server: httpx.Client, mode: Mode = "auto", key: str = KEYS[0]
) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    address = f"{server.base_url}/mcp".replace("//mcp", "/mcp")
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> list[str]:
    """The texts that a tool answers with."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, texts(result)
    return texts(result)


async def data(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers to programs, which its text says as well."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, texts(result)
    (text,) = texts(result)
    assert json.loads(text) == result.structured_content
    found: dict[str, Any] = result.structured_content
    return found


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """The sentence with which a tool refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (sentence,) = texts(result)
    return sentence


def texts(result: types.CallToolResult) -> list[str]:
    assert all(isinstance(one, types.TextContent) for one in result.content)
    return [one.text for one in result.content if isinstance(one, types.TextContent)]
