"""The contestants: how each is started, and the language it speaks. One runs at a time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.provider.engines.gguf import format as gguf_format
from bench.contestants import process
from bench.contestants.client import Client, Dialect
from bench.contestants.process import ROOT
from bench.inputs.prompts import Messages

OURS, LLAMA_SERVER, PACKAGED = "ours", "llama-server", "llama_cpp.server"
MLX_SERVER, MLX_VLM_SERVER = "mlx_lm.server", "mlx_vlm.server"
RAW, GENERATOR, MLX_LOOP = "raw loop", "Generator", "BatchGenerator"
"""Libraries driven directly: llama.cpp, onnxruntime-genai, mlx-lm."""
RAW_STREAMS = "raw loop, KV streams"
"""llama.cpp again, with a KV stream per sequence; ``raw loop`` has unified memory."""
STORED = "ours, stored"
"""Our server again, storing the conversations; clients then send the new message only."""
OPENAI = "ours, /v1"
"""Our server again, asked as OpenAI's API is."""
DEFAULTS = "ours, defaults"
"""Our server again, with only the model, the port and the threads set."""
ONE_PROCESS, RELAY = "ours, one process", "bare relay"
"""Our server without workers, and the least that several processes before one engine can cost."""
BEFORE = "ours, before"
"""The server of another checkout, with the settings of ours."""
STORE, SQLITE = "store functions", "raw sqlite3"
"""What is below our routes for conversations, and what is below that."""
MLX_VLM_NEEDS = ("mlx_vlm", "mlx_audio", "cryptography", "fastapi", "uvicorn")
"""What mlx-vlm's server imports."""
SLOTS = 8
CONTEXT = 8192
"""Tokens that one conversation may have on every server, where the model has as many."""
IDLE_CACHE_MB = 1024
"""For conversations that have left the KV cache, on our server and on llama-server."""
MEBI = 2**20


@dataclass(frozen=True)
class Server:
    """A server to compare: the command for a model and a port, its settings, its language."""

    name: str
    command: Callable[[Path, int, int], list[str]]
    env: Callable[[Path, int, int], dict[str, str]]
    dialect: Dialect
    health: str = "/health"

    @contextlib.contextmanager
    def serving(self, model: Path, threads: int) -> Iterator[Client]:
        """A client of the freshly started server."""
        port = process.free_port()
        command, env = self.command(model, port, threads), self.env(model, port, threads)
        with process.running(command, env, port, self.health):
            yield Client(port, self.dialect)


def available(before: Path | None = None) -> dict[str, Server]:
    """The servers that can be started here, by name; ``before`` is another checkout of ours."""
    servers = {OURS: _ours(OURS, _own(2)), STORED: _ours(STORED, _own(4))}
    servers[OPENAI] = _ours(OPENAI, _openai())
    servers[DEFAULTS] = Server(DEFAULTS, lambda *_: own_command(), _own_defaults, _own(2))
    if before:
        servers[BEFORE] = _ours(BEFORE, _own(2), before)
    if binary := os.environ.get("LLAMA_SERVER"):
        servers[LLAMA_SERVER] = _llama_server(str(Path(binary).resolve()))
    if importlib.util.find_spec("starlette_context"):
        servers[PACKAGED] = _packaged()
    if importlib.util.find_spec("mlx_lm"):
        servers[MLX_SERVER] = _mlx_server("mlx_lm", "server")
    python = os.environ.get("MLX_VLM_PYTHON")
    if python or all(map(importlib.util.find_spec, MLX_VLM_NEEDS)):
        servers[MLX_VLM_SERVER] = _mlx_server("mlx_vlm.server", python=python)
    return servers


def own_settings(port: int, root: Path = ROOT, /, **more: str) -> dict[str, str]:
    """Environment of the server of a checkout on loopback, whatever ``.env`` says."""
    own = {"HOST": "127.0.0.1", "PORT": str(port), "API_KEYS": "", "LOG_LEVEL": "WARNING"}
    return own | {"DATABASE_URL": "", "PYTHONPATH": str(root)} | more


def own_command() -> list[str]:
    """The command line of our server."""
    return [sys.executable, "-m", "app.cli", "serve"]


def speaking_to(model: str) -> Dialect:
    """The language of our streams, to one of several models."""
    dialect = _own(2)
    return replace(dialect, body=lambda *asked: dialect.body(*asked) | {"model": model})


@dataclass(frozen=True)
class KvSize:
    """Tokens of one conversation, and bytes of the keys and values of a token (0: unknown)."""

    context: int
    token_bytes: int

    @property
    def megabytes(self) -> int:
        """MiB for a whole context in every slot."""
        return -(-SLOTS * self.context * self.token_bytes // MEBI)


@lru_cache
def kv_size(model: Path) -> KvSize:
    """What every server gets for a GGUF; for other models engines have their own rules."""
    card = gguf_format.read(model) if model.is_file() else None
    if card is None:
        return KvSize(CONTEXT, 0)
    context = min(CONTEXT, card.context_length or CONTEXT)
    return KvSize(context, 2 * card.shape.kv_numbers)  # float16


def _ours(name: str, dialect: Dialect, root: Path = ROOT) -> Server:
    def env(model: Path, port: int, threads: int) -> dict[str, str]:
        size = kv_size(model)
        settings = {"CONTEXT_LENGTH": str(size.context), "ENGINE_SLOTS": str(SLOTS)}
        if size.megabytes:
            settings |= {"KV_CACHE_MB": str(size.megabytes), "PREFIX_CACHE_MB": str(IDLE_CACHE_MB)}
        return own_settings(port, root, **_own_model(model, threads), **settings)

    return Server(name, lambda *_: own_command(), env, dialect)


def _own_defaults(model: Path, port: int, threads: int) -> dict[str, str]:
    return own_settings(port, **_own_model(model, threads))


def _own_model(model: Path, threads: int) -> dict[str, str]:
    return {"SLLM_MODEL_PATH": str(model), "ENGINE_THREADS": str(threads)}


def _llama_server(binary: str) -> Server:
    """With ``-np`` it has a KV stream per slot, which is its faster way."""

    def command(model: Path, port: int, threads: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--no-webui"]
        size = ["-np", str(SLOTS), "-c", str(SLOTS * kv_size(model).context), "-t", str(threads)]
        return [binary, "-m", str(model), *where, *size, "--cache-ram", str(IDLE_CACHE_MB)]

    return Server(LLAMA_SERVER, command, lambda *_: {}, _openai())


def _packaged() -> Server:
    def command(model: Path, port: int, threads: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--interrupt_requests", "False"]
        size = ["--n_ctx", str(CONTEXT), "--n_threads", str(threads)]
        size += ["--n_threads_batch", str(threads)]
        return [sys.executable, "-m", "llama_cpp.server", "--model", str(model), *where, *size]

    return Server(PACKAGED, command, lambda *_: {}, _openai(), health="/v1/models")


def _mlx_server(*module: str, python: str | None = None) -> Server:
    """mlx-lm's or mlx-vlm's, in this Python or another one."""
    run = [python or sys.executable, "-m", *module]

    def command(model: Path, port: int, _threads: int) -> list[str]:
        where = ["--model", str(model), "--host", "127.0.0.1", "--port", str(port)]
        return [*run, *where, "--log-level", "WARNING"]

    return Server(".".join(module), command, lambda *_: {}, _openai())


def _own(version: int) -> Dialect:
    path = f"/api/v{version}/chat/stream"
    return Dialect(path, _own_body, _own_text, _completion_tokens)


def _own_body(messages: Messages, max_tokens: int) -> dict[str, object]:
    system = [turn["content"] for turn in messages if turn["role"] == "system"]
    *history, last = [turn for turn in messages if turn["role"] != "system"]
    body: dict[str, object] = {"message": last["content"], "history": history}
    body |= {"temperature": 0, "max_tokens": max_tokens}
    return body | {"system": system[0]} if system else body


def _own_text(event: dict[str, Any]) -> str:
    return str(event.get("text", ""))


def _openai() -> Dialect:
    def body(messages: Messages, max_tokens: int) -> dict[str, object]:
        request: dict[str, object] = {"messages": messages, "max_tokens": max_tokens}
        request |= {"stream": True, "stream_options": {"include_usage": True}}
        return request | {"temperature": 0}

    return Dialect("/v1/chat/completions", body, _openai_text, _completion_tokens)


def _openai_text(event: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", []))


def _completion_tokens(event: dict[str, Any]) -> int | None:
    usage = event.get("usage")
    return int(usage["completion_tokens"]) if usage else None
