"""``tool_calls`` as a reason is ``stop`` in v1 to v5, which know no tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from app.provider.pool.pool import ModelPool
from app.provider.types import Delta, End, Event, Started, ToolCallDelta, Usage
from tests.http.events import parsed
from tests.http.frozen import require_valid
from tests.http.stored import found

VERSIONS = ("v1", "v2", "v3", "v4", "v5")


async def call_a_tool(*_: Any) -> AsyncGenerator[Event, None]:
    """An answer that ends with a tool call, as an engine sends it."""
    yield Started(1, 0)
    yield Delta("Let me see.")
    yield ToolCallDelta(0, "call-1", "weather", "{}")
    yield End("tool_calls", Usage(1, 5, 0))


@pytest.fixture(autouse=True)
def calling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelPool, "stream", call_a_tool)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_whole_answer(echo: httpx.Client, version: str) -> None:
    answer = echo.post(f"/api/{version}/chat", json={"message": "Rain?"})
    body = found(answer)
    assert (body["finish_reason"], body["message"]["content"]) == ("stop", "Let me see.")
    require_valid(version, "/chat", answer)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_stream(echo: httpx.Client, version: str) -> None:
    answer = echo.post(f"/api/{version}/chat/stream", json={"message": "Rain?"})
    events = parsed(answer.text)
    assert [event.name for event in events] == ["message", "delta", "done"]
    assert events[-1].data["finish_reason"] == "stop"


@pytest.mark.parametrize("version", VERSIONS[3:])
def test_a_stored_answer(echo: httpx.Client, version: str) -> None:
    name = found(echo.post(f"/api/{version}/chat", json={"message": "Rain?"}))["conversation_id"]
    opened = echo.get(f"/api/{version}/conversations/{name}")
    assert found(opened)["messages"][1]["finish_reason"] == "stop"
    require_valid(version, "/conversations/{conversation_id}", opened)
    exported = echo.get(f"/api/{version}/conversations/{name}/export")
    assert found(exported)["conversation"]["messages"][1]["finish_reason"] == "stop"
    require_valid(version, "/conversations/{conversation_id}/export", exported)
    echo.delete(f"/api/{version}/conversations/{name}")
