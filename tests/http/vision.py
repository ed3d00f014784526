"""Questions about pictures, over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx

from tests.media.files import drawing, saved

URL = "/api/v5/conversations"
CHAT, STREAM = "/api/v5/vision/chat", "/api/v5/vision/chat/stream"
PLAIN = "/api/v5/chat"


def picture(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    """A file; pictures of different sizes are different pictures."""
    return saved(drawing(size=(width, height)), kind)


def sent(content: bytes, **more: Any) -> dict[str, Any]:
    """An image of a JSON body."""
    return {"base64": base64.b64encode(content).decode()} | more


def asked(
    client: httpx.Client, message: str, *pictures: bytes, route: str = CHAT, **options: Any
) -> dict[str, Any]:
    body = {"message": message, "images": [sent(one) for one in pictures]} | options
    answer = client.post(route, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def shown(answer: dict[str, Any]) -> list[str]:
    """Which pictures the model was shown, as ``echo-vision`` says it."""
    text: str = answer["message"]["content"]
    return [part.split()[0] for part in text.split("[image ")[1:]]


def opened(client: httpx.Client, answer: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The messages of the conversation that an answer is in."""
    found = client.get(f"{URL}/{answer['conversation_id']}", params=query)
    assert found.status_code == 200, found.text
    messages: list[dict[str, Any]] = found.json()["messages"]
    return messages


def fetched(client: httpx.Client, conversation: str, sha256: str) -> bytes:
    """The picture, which must be what its hash says."""
    answer = client.get(f"{URL}/{conversation}/images/{sha256}")
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(answer.content).hexdigest() == sha256
    return answer.content


def problem(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, body["code"]
