"""Talks to /v1 and checks that answers have the documented form, and nothing beside it."""

from __future__ import annotations

import json
from typing import Any

import httpx
from pydantic import BaseModel

from app.openai.models.answers import ChatCompletion, ChatCompletionChunk
from app.openai.models.completions import Completion
from app.openai.models.tokens import TokenizedText

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
INFILL = "/v1/fim/completions"
QUESTION = {"role": "user", "content": "one two three"}

Object = dict[str, Any]


def checked(model: type[BaseModel], body: Object) -> Object:
    """The body, which has the fields of the model and no others."""
    assert model.model_validate(body, strict=True).model_dump(exclude_unset=True) == body
    return body


def chat(client: httpx.Client, **options: Any) -> Object:
    answer = client.post(CHAT, json={"model": "echo", "messages": [QUESTION]} | options)
    assert answer.status_code == 200, answer.text
    return checked(ChatCompletion, answer.json())


def text_of(answer: Object) -> str:
    (choice,) = answer["choices"]
    text: str = choice["message"]["content"]
    return text


def completed(client: httpx.Client, **options: Any) -> Object:
    answer = client.post(COMPLETIONS, json={"prompt": "one two"} | options)
    assert answer.status_code == 200, answer.text
    return checked(Completion, answer.json())


def texts(answer: Object) -> list[str]:
    return [choice["text"] for choice in answer["choices"]]


def tokens_of(client: httpx.Client, **body: Any) -> Object:
    answer = client.post("/v1/tokenize", json=body)
    assert answer.status_code == 200, answer.text
    return checked(TokenizedText, answer.json())


def chunks_of(text: str) -> list[Object]:
    """The objects of a stream, which ends with [DONE]."""
    events = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    assert events[-1] == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events[:-1]]


def streamed(client: httpx.Client, **options: Any) -> list[Object]:
    body = {"model": "echo", "messages": [QUESTION], "stream": True} | options
    answer = client.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [checked(ChatCompletionChunk, chunk) for chunk in chunks_of(answer.text)]


def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, type and code of an error that is whole."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["type"], body["error"]["code"]


def refused(client: httpx.Client, param: str | None, code: str | None, **options: Any) -> None:
    answer = client.post(CHAT, json={"model": "echo", "messages": [QUESTION]} | options)
    assert error_of(answer) == (400, "invalid_request_error", code), answer.text
    assert answer.json()["error"]["param"] == param
