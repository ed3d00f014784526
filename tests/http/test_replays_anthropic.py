"""The requests of Claude Code, answered as it needs it, and without computing its prompt again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import serving
from tests.http.replaying import events_of, replay_of, send

pytestmark = pytest.mark.slow

STARTER = Path(__file__).parents[2] / "models" / "starter.gguf"
CLAUDE_CODE = replay_of("claude_code")
FIRST = CLAUDE_CODE["first turn"]
NAMES = ("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    models = tmp_path_factory.mktemp("models")
    (models / "starter.gguf").symlink_to(STARTER)
    aliases = dict.fromkeys(NAMES, "starter")
    with serving(
        models_dir=models, model_aliases=aliases, enable_echo=False, engine_threads=1
    ) as client:
        yield client


def second_turn() -> dict[str, Any]:
    """It changes the first line of the system text in every request."""
    request: dict[str, Any] = copy.deepcopy(FIRST)
    request["body"]["system"][0]["text"] = CLAUDE_CODE["changed billing line"]
    request["body"]["messages"] += CLAUDE_CODE["further messages"]
    return request


def counted(server: httpx.Client, body: dict[str, Any]) -> int:
    """Tokens of a prompt."""
    fields = {name: body[name] for name in ("model", "system", "messages", "tools", "thinking")}
    answer = send(server, CLAUDE_CODE["count"] | {"body": fields}).json()
    tokens: int = answer["input_tokens"]
    return tokens


def usage_of(events: list[dict[str, Any]]) -> dict[str, int]:
    usage: dict[str, int] = events[0]["message"]["usage"]
    return usage


def total(usage: dict[str, int]) -> int:
    cached = usage["cache_read_input_tokens"] + (usage.get("cache_creation_input_tokens") or 0)
    return usage["input_tokens"] + cached


def test_the_first_event_has_the_usage_that_claude_code_reads(server: httpx.Client) -> None:
    events = events_of(send(server, FIRST))
    assert [event["type"] for event in events][:2] == ["message_start", "content_block_start"]
    assert total(usage_of(events)) == counted(server, FIRST["body"])
    assert events[-2]["delta"]["stop_reason"] in {"end_turn", "max_tokens", "tool_use"}
    assert events[-1]["type"] == "message_stop"


def test_the_second_turn_computes_what_is_new(server: httpx.Client) -> None:
    send(server, FIRST)
    cached = usage_of(events_of(send(server, second_turn())))["cache_read_input_tokens"]
    shared = FIRST["body"] | {"system": FIRST["body"]["system"][1:]}
    assert cached >= 0.95 * counted(server, shared)


def test_tools_are_counted(server: httpx.Client) -> None:
    with_tools = send(server, CLAUDE_CODE["count"]).json()
    body = {name: value for name, value in CLAUDE_CODE["count"]["body"].items() if name != "tools"}
    without = send(server, CLAUDE_CODE["count"] | {"body": body}).json()
    assert with_tools.keys() == {"input_tokens"}
    assert with_tools["input_tokens"] > without["input_tokens"] > 0


def test_the_check_of_the_quota_is_answered_by_an_alias(server: httpx.Client) -> None:
    answer = send(server, CLAUDE_CODE["quota"]).json()
    assert (answer["type"], answer["stop_reason"]) == ("message", "max_tokens")
