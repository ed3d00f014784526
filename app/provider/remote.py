"""A model that another server runs, as its card and its engine process know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ServerKind = Literal[
    "auto", "generic", "llama.cpp", "lm-studio", "ollama", "sglang", "sllm", "vllm"
]
"""What kind of server it is. ``auto``: it is asked; ``generic``: OpenAI's API and no more."""

ALL_MODELS = "*"
"""In place of a model's name: every one that the server lists."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model of an OpenAI-compatible server.

    ``server`` is the server's name for users. ``base_url`` ends where ``/chat/completions`` begins;
    with ``unix_socket`` only its path counts. ``model`` is the model's name there ("": the only
    one), and ``tasks`` are those of its card. ``key_env`` names the environment variable that
    holds the server's API key, ``key`` is that key. ``features`` overrides fields of the table of
    the server's kind. ``slots`` requests are passed on at once (0: as many as ENGINE_SLOTS);
    ``context_length`` 0 is asked of the server.

    Seconds: to connect, until the answer begins, and between two pieces of it.
    """

    server: str
    base_url: str
    model: str = ""
    kind: ServerKind = "auto"
    unix_socket: str = ""
    key_env: str = ""
    key: str = field(default="", repr=False)
    tasks: tuple[str, ...] = ("chat",)
    features: tuple[tuple[str, bool | str], ...] = ()
    context_length: int = 0
    slots: int = 0
    connect_seconds: float = 10.0
    first_seconds: float = 600.0
    silence_seconds: float = 120.0
