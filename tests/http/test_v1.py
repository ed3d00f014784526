from __future__ import annotations

from typing import Any

import httpx
import pytest


def ask(echo: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = echo.post("/api/v1/chat", json={"message": "one two three"} | body)
    assert answer.status_code == 200, answer.text
    reply: dict[str, Any] = answer.json()
    return reply


def test_an_answer_has_exactly_the_documented_fields(echo: httpx.Client) -> None:
    answer = ask(echo)
    assert answer.pop("id").startswith("chat-")
    assert answer.pop("usage").keys() == {"prompt_tokens", "completion_tokens", "cached_tokens"}
    assert answer == {
        "model": "echo",
        "message": {"role": "assistant", "content": "one two three"},
        "finish_reason": "stop",
    }


def test_every_answer_has_its_own_id(echo: httpx.Client) -> None:
    assert ask(echo)["id"] != ask(echo)["id"]


def test_max_tokens_is_exact_and_reported(echo: httpx.Client) -> None:
    answer = ask(echo, max_tokens=2)
    assert answer["message"]["content"].split() == ["one", "two"]
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("stop", ["two", ["never", "two"]])
def test_stop_is_one_text_or_several(echo: httpx.Client, stop: object) -> None:
    assert ask(echo, stop=stop)["message"]["content"].strip() == "one"


def test_the_history_counts_as_prompt(echo: httpx.Client) -> None:
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b c"}]
    alone, together = ask(echo), ask(echo, history=history, system="d")
    assert together["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]
    assert together["message"] == alone["message"]


def test_text_survives_the_way_there_and_back(echo: httpx.Client) -> None:
    text = '안녕 👩‍👩‍👧‍👦\n\tq"uo\\te <b> \u2028 ﷽'
    assert ask(echo, message=text)["message"]["content"] == text


def test_models_are_listed_with_the_documented_fields(echo: httpx.Client) -> None:
    model, vision, *encoders = echo.get("/api/v1/models").json()["models"]
    assert model.pop("state") in {"loading", "ready"}
    assert model == {
        "id": "echo",
        "format": "echo",
        "tasks": ["chat"],
        "size_bytes": 0,
        "context_length": 4096,
    }
    assert (vision["id"], vision["tasks"]) == ("echo-vision", ["chat", "vision"])
    assert [one["id"] for one in encoders] == ["echo-embed", "echo-rerank", "echo-clip"]


def test_v1_does_not_stream(echo: httpx.Client) -> None:
    assert echo.post("/api/v1/chat/stream", json={"message": "hi"}).status_code == 404
