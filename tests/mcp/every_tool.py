"""A call of every tool."""

from __future__ import annotations

import base64
from typing import Any

import httpx
from mcp import Client

from tests.http.vision import picture
from tests.mcp.connecting import called, posted

PICTURE = base64.b64encode(picture()).decode()
DOCUMENTS = ["a red circle", "the weather is fine", "a blue square"]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "generate_hyperclovax_vision": {"prompt": "What?", "image_base64": PICTURE, "max_tokens": 12},
    "chat": {"message": "hello there"},
    "describe_image": {"image": f"data:image/png;base64,{PICTURE}"},
    "embed": {"texts": ["one", "two"]},
    "rerank": {"query": "circle", "documents": DOCUMENTS},
    "search_conversations": {"query": "walrus"},
    "read_conversation": {},
    "list_models": {},
    "count_tokens": {"text": "one two three"},
}
"""By the tools' names, in the order in which they are listed."""
NAMES = [*ARGUMENTS]


def with_a_conversation(server: httpx.Client) -> dict[str, dict[str, Any]]:
    """The arguments; the conversation to read is one that has just been stored."""
    asked = posted(server, "/api/v4/chat", message="remember the walrus")
    read = {"conversation_id": asked["conversation_id"]}
    return ARGUMENTS | {"read_conversation": read}


async def call_every_tool(client: Client, server: httpx.Client) -> None:
    for name, arguments in with_a_conversation(server).items():
        assert (await called(client, name, **arguments))[0], name
