"""Own templates as tests make and read them."""

from __future__ import annotations

from typing import Any

import httpx

PATH = "/api/v4/prompt/templates"
MINE = {
    "name": "mine",
    "description": {"en": "Mine.", "ko": "내 것."},
    "system": "Be {{ how }}.",
    "user": "<{{ message }}>",
    "variables": {
        "how": {"type": "string", "required": False, "default": "kind"},
        "share": {"type": "number", "required": False, "default": 1.0},
    },
    "sampling": {"temperature": 0.5, "stop": ["."]},
    "example": {"message": "안녕", "variables": {"how": "brief"}},
}
ADDED = {"version", "source", "updated_at"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def made(client: httpx.Client, **changed: Any) -> httpx.Response:
    answer = client.post(PATH, json=MINE | changed)
    assert answer.status_code == 201, answer.text
    return answer


def names(client: httpx.Client, **query: Any) -> list[str]:
    answer = client.get(PATH, params={"limit": 100} | query)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["templates"]]


def reply_text(client: httpx.Client, **body: Any) -> str:
    answer = client.post("/api/v4/chat", json={"message": "hi"} | body)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["message"]["content"]
    return text


def put(client: httpx.Client, name: str, system: str, **headers: str) -> httpx.Response:
    body = {"description": "D.", "system": system}
    return client.put(
        f"{PATH}/{name}",
        json=body,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


def versions(client: httpx.Client, name: str, **query: Any) -> list[dict[str, Any]]:
    """All versions, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get(f"{PATH}/{name}/versions", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["versions"]
        if page["next_cursor"] is None:
            return found
        assert page["next_cursor"] != query.get("cursor")
        query["cursor"] = page["next_cursor"]


def restore(client: httpx.Client, name: str, version: int, **headers: str) -> httpx.Response:
    path = f"{PATH}/{name}/versions/{version}/restore"
    return client.post(path, headers={key.replace("_", "-"): v for key, v in headers.items()})
