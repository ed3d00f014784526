"""JSON inside the bodies of the dialects that cannot be written as JSON again is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ASKED = '"model":"echo","max_tokens":5,"messages":[{"role":"user","content":"hi"}]'
BODIES = {
    "a tool's schema": (
        CHAT,
        '"tools":[{"type":"function","function":{"name":"f","parameters":{"const":VALUE}}}]',
    ),
    "the schema of the answer": (
        CHAT,
        '"response_format":{"type":"json_schema","json_schema":{"schema":{"const":VALUE}}}',
    ),
    "variables of the template": (CHAT, '"chat_template_kwargs":{"a":VALUE}'),
    "Anthropic: a tool's schema": (
        MESSAGES,
        '"tools":[{"name":"f","input_schema":{"type":"object","const":VALUE}}]',
    ),
}


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\ud800"'])
@pytest.mark.parametrize("name", BODIES)
def test_it_is_refused(echo: httpx.Client, name: str, value: str) -> None:
    path, field = BODIES[name]
    sent = "{" + ASKED + "," + field.replace("VALUE", value) + "}"
    headers = {"content-type": "application/json"}
    answer = echo.post(path, content=sent, headers=headers)
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "JSON does not know" in error["message"] or "surrogate" in error["message"]
