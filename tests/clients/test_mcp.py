"""The conformance suite of the Model Context Protocol, and its Inspector.

The suite needs tools, prompts and resources with certain names. So it runs twice: against a server
that has them, behind the endpoint and the guard of this one; and against this server as it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.mcp_fixtures.server import make_server
from tests.clients.mcp_programs import (
    DOUBTFUL,
    FAILED,
    conformance,
    inspector,
    required_scenarios,
)
from tests.conftest import serving
from tests.mcp.every_tool import with_a_conversation

NEWEST, BEFORE = "2026-07-28", "2025-11-25"
REQUIRED = [(NEWEST, 37, 0), (BEFORE, 30, 4)]
"""Scenarios that each revision requires, and how many of them ``expected_failures.yml`` names."""

ALWAYS = {
    "completion-complete",
    "dns-rebinding-protection",
    "prompts-list",
    "resources-list",
    "server-sse-multiple-streams",
    "tools-call-error",
    "tools-call-simple-text",
    "tools-list",
}
FLOOR = {
    NEWEST: ALWAYS
    | {
        "caching",
        "http-header-validation",
        "input-required-result-ignore-extra-params",
        "input-required-result-missing-input-response",
        "input-required-result-unsupported-methods",
        "input-required-result-validate-input",
        "sep-2164-resource-not-found",
        "server-stateless",
    },
    BEFORE: ALWAYS | {"ping", "server-initialize", "server-session-lifecycle"},
}
"""Scenarios that a server without the suite's tools, prompts and resources passes."""
NEED_A_TOOL = {
    "sep-2575-missing-capability-http-400",
    "sep-2575-server-rejects-undeclared-capability",
}
"""Checks among them that such a server cannot pass."""

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("ignore:The logging capability is deprecated")


@pytest.fixture(scope="module")
def fixtures(empty_models: Path) -> Iterator[str]:
    """Where a server is whose endpoint has been started with the fixtures."""
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    with serving(models_dir=empty_models) as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("app.mcp.server.make_server", make_server)
            tools = client.post("/mcp", json=listing, headers={"Accept": "*/*"})
        assert "test_simple_text" in tools.text
        yield str(client.base_url).rstrip("/")


@pytest.mark.parametrize(("revision", "required", "expected"), REQUIRED)
def test_the_endpoint_conforms(
    revision: str, required: int, expected: int, fixtures: str, tmp_path: Path
) -> None:
    report = conformance(fixtures, revision, tmp_path)
    assert report.status == 0, report.verdict
    scenarios = required_scenarios(revision, tmp_path)
    assert len(scenarios) == required
    wrong = {name: report.wrong(name, FAILED, DOUBTFUL) for name in scenarios}
    failed = {name: list(how.values()) for name, how in wrong.items() if how}
    assert len(failed) == expected, failed
    assert all("no back-channel" in how for hows in failed.values() for how in hows), failed


@pytest.mark.parametrize("revision", FLOOR)
def test_this_server_conforms_as_far_as_it_can(revision: str, address: str, tmp_path: Path) -> None:
    report = conformance(address, revision, tmp_path)
    wrong = {name: report.wrong(name, FAILED) for name in FLOOR[revision]}
    failed = {name: how for name, how in wrong.items() if how.keys() - NEED_A_TOOL}
    assert not failed


@pytest.fixture(params=["http", "stdio"])
def inspected(
    request: pytest.FixtureRequest, address: str, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """What this server answers to the Inspector over each transport, by the method's name."""
    bridge = [sys.executable, "-m", "app.cli", "mcp", "--cwd", str(ROOT)]
    servers = {"http": [f"{address}/mcp"], "stdio": [*bridge, "-e", f"SLLM_BASE_URL={address}"]}
    transport: str = request.param
    options = [*servers[transport], "--transport", transport, "--method"]
    return partial(inspector, tmp_path, *options)


def test_the_inspector_lists_what_there_is(inspected: Callable[..., dict[str, Any]]) -> None:
    tools = inspected("tools/list", "--strict")["tools"]
    assert {"chat", "embed", "rerank", "list_models"} <= {tool["name"] for tool in tools}
    prompts = inspected("prompts/list")["prompts"]
    assert "code_assistant" in {prompt["name"] for prompt in prompts}
    resources = inspected("resources/list")["resources"]
    assert "sllm://api/v1.json" in {resource["uri"] for resource in resources}


def test_the_inspector_calls_every_tool(
    inspected: Callable[..., dict[str, Any]], address: str
) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        calls = with_a_conversation(client)
    for tool, given in calls.items():
        written = [f"{name}={_written(value)}" for name, value in given.items()]
        arguments = ["--tool-arg", *written] if written else []
        answer = inspected("tools/call", "--tool-name", tool, *arguments)
        assert not answer["isError"], (tool, answer)
        assert answer["content"][0]["text"], tool


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
