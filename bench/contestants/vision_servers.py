"""The contestants that are shown pictures: how each is started, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.contestants.client import Client, Dialect
from bench.contestants.servers import LLAMA_SERVER, MLX_VLM_SERVER, OURS, Server
from bench.inputs.prompts import Messages
from bench.models.qwen2_vl import mmproj_of

PATH = "/api/v5/vision/chat/stream"


def with_vision(server: Server, model: Path, *, starter: bool = False) -> Server:
    """The server as it is started for a model that sees; the starter's pictures are small."""
    if server.name == MLX_VLM_SERVER:
        return replace(server, dialect=_naming(str(model), server.dialect))
    if server.name == OURS:
        return replace(server, env=_own_env(server))
    if server.name == LLAMA_SERVER:
        return replace(server, command=_with_mmproj(server, starter))
    return server


def vision_client(client: Client) -> Client:
    """A client that shows the same server pictures."""
    if client.dialect.path.startswith("/api/"):
        return replace(client, dialect=replace(client.dialect, path=PATH, body=_own_body))
    return client


def _naming(model: str, dialect: Dialect) -> Dialect:
    """mlx-vlm's server requires the model's name in every request."""
    return replace(dialect, body=lambda *asked: dialect.body(*asked) | {"model": model})


def _own_env(server: Server) -> Any:
    def env(model: Path, port: int, threads: int) -> dict[str, str]:
        return server.env(model, port, threads) | {"VISION_MODEL_PATH": str(model)}

    return env


def _with_mmproj(server: Server, starter: bool) -> Any:
    # It knows no bound of a model's own; without this one it would scale the starter's pictures up.
    bound = ["--image-max-tokens", "49"] if starter else []

    def command(model: Path, port: int, threads: int) -> list[str]:
        return [*server.command(model, port, threads), "--mmproj", str(mmproj_of(model)), *bound]

    return command


def _own_body(messages: Messages, max_tokens: int) -> dict[str, object]:
    """Only the last question: the server stores the messages before it."""
    asked = [part for message in messages[-1:] for part in _parts(message)]
    texts = [str(part["text"]) for part in asked if part["type"] == "text"]
    shown = [{"base64": one, "mime": "image/png"} for one in _pictures(asked)]
    body: dict[str, object] = {"message": "".join(texts), "images": shown}
    body |= {"temperature": 0, "max_tokens": max_tokens}
    system = [message["content"] for message in messages if message["role"] == "system"]
    return body | {"system": system[0]} if system else body


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _pictures(parts: list[dict[str, Any]]) -> Iterator[str]:
    for part in parts:
        if part["type"] == "image_url":
            yield part["image_url"]["url"].partition(",")[2]
