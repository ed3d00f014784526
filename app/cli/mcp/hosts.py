"""What hosts read to find this server: each has a shape and a file of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.cli.project import RUN
from app.cli.server_address import KEY
from app.mcp.identity import NAME

SECONDS = 600
"""That a call may take: hosts give up after 30 or 60 otherwise, before a model is loaded."""
HostEntry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Host:
    """Where a host looks for servers, and how one is written there.

    ``remote`` writes one that is reached by its address; None: the host starts programs only.
    """

    file: str
    local: Callable[[HostEntry], str]
    remote: Callable[[str], str] | None = None


def configuration(name: str, *, http: bool) -> int:
    """Print what the host reads, and where that belongs to the standard error."""
    host = HOSTS[name]
    if not http:
        text = host.local({"command": str(RUN), "args": ["mcp"]})
    elif host.remote is None:
        print(f"{name} only starts programs: leave out --http.", file=sys.stderr)  # noqa: T201
        return 2
    else:
        text = host.remote(f"{_address()}/mcp")
    print(f"Put this into {host.file}:\n", file=sys.stderr)  # noqa: T201
    print(text)  # noqa: T201
    return 0


def _address() -> str:
    from app.cli.mcp.target import configured  # noqa: PLC0415 - reads the settings

    return configured().url


def _headers(key: str) -> HostEntry:
    return {"Authorization": f"Bearer {key}"}


def _json(section: str, entry: HostEntry) -> str:
    return json.dumps({section: {NAME: entry}}, indent=2)


def _servers(**more: Any) -> Callable[[HostEntry], str]:
    """Most hosts: under ``mcpServers``, with something of their own."""
    return lambda entry: _json("mcpServers", {**entry, **more})


def _cline_remote(url: str) -> str:
    # Without a type the address is taken for the older transport (cline/cline#6767).
    entry = {"type": "streamableHttp", "url": url, "headers": _headers(_key())}
    return _json("mcpServers", {**entry, **CLINE})


def _key() -> str:
    return os.environ.get(KEY) or f"<{KEY}>"


def _codex(entry: HostEntry) -> str:
    return "\n".join(
        (
            f"[mcp_servers.{NAME}]",
            f"command = {json.dumps(entry['command'])}",
            f"args = {json.dumps(entry['args'])}",
            "startup_timeout_sec = 60",
            f"tool_timeout_sec = {SECONDS}",
        )
    )


def _codex_remote(url: str) -> str:
    return "\n".join(
        (
            f"[mcp_servers.{NAME}]",
            f"url = {json.dumps(url)}",
            f'bearer_token_env_var = "{KEY}"',
            f"tool_timeout_sec = {SECONDS}",
        )
    )


def _vscode_remote(url: str) -> str:
    asked = {"type": "promptString", "id": "sllm-key", "description": "API key", "password": True}
    entry = {"type": "http", "url": url, "headers": _headers("${input:sllm-key}")}
    return json.dumps({"servers": {NAME: entry}, "inputs": [asked]}, indent=2)


CLINE: HostEntry = {"timeout": SECONDS, "disabled": False, "autoApprove": []}

HOSTS = {
    "caret": Host("cline_mcp_settings.json", _servers(**CLINE), _cline_remote),
    "cline": Host("cline_mcp_settings.json", _servers(**CLINE), _cline_remote),
    "claude-desktop": Host("claude_desktop_config.json", _servers()),
    "claude-code": Host(
        ".mcp.json",
        _servers(type="stdio", env={}),
        lambda url: _json(
            "mcpServers", {"type": "http", "url": url, "headers": _headers(f"${{{KEY}}}")}
        ),
    ),
    "cursor": Host(
        "~/.cursor/mcp.json or .cursor/mcp.json",
        _servers(),
        lambda url: _json("mcpServers", {"url": url, "headers": _headers(f"${{env:{KEY}}}")}),
    ),
    "vscode": Host(
        ".vscode/mcp.json",
        lambda entry: _json("servers", {"type": "stdio", **entry}),
        _vscode_remote,
    ),
    "zed": Host(
        "settings.json",
        lambda entry: _json("context_servers", {**entry, "env": {}}),
        lambda url: _json("context_servers", {"url": url, "headers": _headers(_key())}),
    ),
    "codex": Host("~/.codex/config.toml", _codex, _codex_remote),
    "gemini-cli": Host(
        "~/.gemini/settings.json",
        _servers(timeout=1000 * SECONDS),
        # Under ``url`` it would expect the older transport.
        lambda url: _json(
            "mcpServers",
            {"httpUrl": url, "headers": _headers(f"${KEY}"), "timeout": 1000 * SECONDS},
        ),
    ),
    "lm-studio": Host(
        "mcp.json (Program, Install, Edit mcp.json)",
        _servers(),
        lambda url: _json("mcpServers", {"url": url, "headers": _headers(_key())}),
    ),
}
"""By the names that ``--config`` takes."""
