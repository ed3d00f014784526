"""Messages of the protocol, as clients of both eras send them over HTTP."""

from __future__ import annotations

import json
from typing import Any

MODERN = "2026-07-28"
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def legacy(method: str, **params: Any) -> dict[str, Any]:
    """A request after ``initialize``, or that one, as keywords of ``httpx``."""
    return {
        "headers": ACCEPT,
        "json": {"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
    }


def modern(method: str, **params: Any) -> dict[str, Any]:
    """A request of the newest revision."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = ACCEPT | {"mcp-protocol-version": MODERN, "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}
    return {"headers": headers, "json": body}


INITIALIZE = legacy(
    "initialize",
    protocolVersion="2025-11-25",
    capabilities={},
    clientInfo={"name": "test", "version": "1"},
)
DISCOVER = modern("server/discover")


def messages(text: str) -> list[dict[str, Any]]:
    """What a JSON body or a stream of events holds."""
    if text.startswith("{"):
        return [json.loads(text)]
    lines = (line for line in text.splitlines() if line.startswith("data: {"))
    return [json.loads(line.removeprefix("data: ")) for line in lines]
