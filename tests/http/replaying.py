"""Sends what a client sent, from ``replays``, and reads the answer as such a client does.

The files have a client's requests by name: method, path, headers and body. Most of Open WebUI's
were recorded (``tests/clients/test_open_webui.py``); the others we wrote from what is known of
the client. ``{picture}`` stands for a picture as a data URL, ``{long}`` for a long text.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx

from tests.media.files import drawing, saved

REPLAYS = Path(__file__).parent / "replays"
LONG = "a " * 200_000


def replay_of(client: str) -> dict[str, Any]:
    """The requests of a client, by name."""
    picture = base64.b64encode(saved(drawing(), "PNG")).decode()
    text = (REPLAYS / f"{client}.json").read_text("utf-8")
    filled = text.replace("{picture}", f"data:image/png;base64,{picture}").replace("{long}", LONG)
    requests: dict[str, Any] = json.loads(filled)
    return requests


def built(server: httpx.Client, request: dict[str, Any]) -> httpx.Request:
    """The request, to send it: a body is written as the client wrote it."""
    return server.build_request(
        request["method"], request["path"], headers=request["headers"], json=request.get("body")
    )


def send(server: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    """Send it, and take the whole answer."""
    response = server.send(built(server, request))
    assert response.status_code == 200, response.text
    return response


def chunks_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The objects of a stream of chat chunks, which ends with ``[DONE]``."""
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in response.text.split("\n\n") if block.startswith("data: ")]
    *chunks, done = (block.removeprefix("data: ") for block in blocks)
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


def events_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream of messages; the name before each is its type."""
    events = []
    for block in response.text.split("\n\n"):
        if block and not block.startswith(":"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            event = json.loads(fields["data"])
            assert fields["event"] == event["type"]
            events.append(event)
    return [event for event in events if event["type"] != "ping"]
