"""The answers that must not wait for a server: the same as ``/mcp`` gives."""

from __future__ import annotations

from typing import Any

from app.mcp.identity import (
    HANDSHAKE_VERSIONS,
    HOUR,
    INSTRUCTIONS,
    NAME,
    TITLE,
    VERSION,
    VERSIONS,
)

Message = dict[str, Any]

PROTOCOL_VERSION = "io.modelcontextprotocol/protocolVersion"
SERVER_INFO = {"name": NAME, "title": TITLE, "version": VERSION}
CAPABILITIES = {
    "completions": {},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": False, "subscribe": False},
    "tools": {"listChanged": False},
}
UNSUPPORTED_VERSION = -32022


def meta_of(message: Message) -> Message:
    """What a message says beside its parameters; empty where that is nothing."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def protocol_version(message: Message) -> str | None:
    """The revision that a message names, as all of the newest era do."""
    version = meta_of(message).get(PROTOCOL_VERSION)
    return version if isinstance(version, str) else None


def initialized(message: Message) -> Message:
    """The answer to ``initialize``: the asked revision, or the newest that begins so."""
    params = message.get("params")
    asked = params.get("protocolVersion") if isinstance(params, dict) else None
    return {
        "protocolVersion": asked if asked in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1],
        "capabilities": CAPABILITIES,
        "serverInfo": SERVER_INFO,
        "instructions": INSTRUCTIONS,
    }


def discovered() -> Message:
    """The answer to ``server/discover``."""
    return {
        "supportedVersions": list(VERSIONS),
        "capabilities": CAPABILITIES,
        "instructions": INSTRUCTIONS,
        "resultType": "complete",
        "ttlMs": HOUR,
        "cacheScope": "public",
        "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO},
    }


def unsupported(version: str) -> Message:
    """The error for a revision that is not known."""
    return {
        "code": UNSUPPORTED_VERSION,
        "message": "Unsupported protocol version",
        "data": {"supported": list(VERSIONS), "requested": version},
    }
