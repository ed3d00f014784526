"""``sllm mcp --config HOST``: what hosts read, in the shape that each of them reads."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from app.cli.mcp.hosts import HOSTS
from tests.mcp.stdio import ROOT

SECTIONS = {"vscode": "servers", "zed": "context_servers", "codex": "mcp_servers"}
PROGRAMS_ONLY = {"claude-desktop"}
ADDRESSES = {"gemini-cli": "httpUrl"}
"""Where a host looks for the address of a server that speaks the newer transport."""
TYPES = {
    "caret": "streamableHttp",
    "cline": "streamableHttp",
    "claude-code": "http",
    "vscode": "http",
}
"""What a host wants to be told of the transport."""


def printed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "mcp", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def entry(host: str, *options: str) -> dict[str, Any]:
    """The one server in what is printed for a host."""
    text = printed("--config", host, *options).stdout
    found = tomllib.loads(text) if host == "codex" else json.loads(text)
    servers: dict[str, Any] = found[SECTIONS.get(host, "mcpServers")]
    assert [*servers] == ["sllm"]
    only: dict[str, Any] = servers["sllm"]
    return only


def test_there_are_all_hosts() -> None:
    assert len(HOSTS) == 10
    unknown = printed("--config", "notepad")
    assert unknown.returncode == 2
    assert "caret" in unknown.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_can_start_it(host: str) -> None:
    """The command is there, by its whole path: hosts start it anywhere."""
    found = entry(host)
    assert found["command"] == str(ROOT / "run.sh")
    assert (ROOT / "run.sh").is_file()
    assert found["args"] == ["mcp"]
    assert "url" not in found


@pytest.mark.parametrize("host", sorted(HOSTS.keys() - PROGRAMS_ONLY))
def test_a_host_can_use_a_server(host: str) -> None:
    found = entry(host, "--http")
    assert found[ADDRESSES.get(host, "url")].endswith(":8000/mcp")
    assert "command" not in found
    assert found.get("type") == TYPES.get(host)
    assert "KEY" in json.dumps(found) or "key" in json.dumps(found)


@pytest.mark.parametrize("host", sorted(PROGRAMS_ONLY))
def test_a_host_that_cannot_is_said(host: str) -> None:
    refused = printed("--config", host, "--http")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--http" in refused.stderr
