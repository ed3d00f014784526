"""``sllm chat``: talking to a model in the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import typer

from app.cli.health import health_of
from app.client.backend import CHAT, Backend, backend
from app.client.errors import SLLMError
from app.config import Settings
from app.config.address import local_url

NEW = "/new"
HELP = f"Ctrl-C stops an answer, {NEW} begins a new conversation, Ctrl-D ends."

Message = dict[str, str]


def chat(settings: Settings, model: str) -> None:
    """Ask and print until the input ends."""
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - makes the arrow keys of input() work
    base = server_address(settings)
    typer.echo(f"{base or 'models in this program'}: {model or 'the default model'}. {HELP}")
    talk = Conversation(backend(base, _key(settings), None, 2), model, sys.stdout.write)
    while (question := _question()) is not None:
        if question == NEW:
            talk.messages.clear()
        elif question:
            talk.ask(question)


def _question() -> str | None:
    """The next line; None at the end of the input."""
    try:
        return input("> ").strip()
    except EOFError:
        typer.echo()
        return None
    except KeyboardInterrupt:
        typer.echo()
        return ""


class Conversation:
    """What has been said so far; ``write`` shows the answers as they come."""

    def __init__(self, answers: Backend, model: str, write: Callable[[str], Any]) -> None:
        self.messages: list[Message] = []
        self._backend = answers
        self._model = model
        self._write = write

    def ask(self, question: str) -> None:
        """Show the answer to a question. What was refused is no part of the conversation."""
        asked = {"role": "user", "content": question}
        try:
            answer = self._answered([*self.messages, asked])
        except SLLMError as error:
            typer.echo(str(error), err=True)
            return
        self.messages += [asked, {"role": "assistant", "content": answer}]

    def _answered(self, messages: list[Message]) -> str:
        """The text, as far as it came before Ctrl-C."""
        body: dict[str, Any] = {"messages": messages, "stream": True}
        pieces = list[str]()
        with closing(self._backend.stream(CHAT, body | self._named())) as chunks:
            try:
                for chunk in chunks:
                    self._show(chunk, pieces)
            except KeyboardInterrupt:
                self._write(" [stopped]")
        self._write("\n")
        return "".join(pieces)

    def _named(self) -> dict[str, str]:
        return {"model": self._model} if self._model else {}

    def _show(self, chunk: dict[str, Any], pieces: list[str]) -> None:
        for choice in chunk["choices"]:
            if text := choice["delta"].get("content"):
                pieces.append(text)
                self._write(text)
                sys.stdout.flush()
            if choice["finish_reason"] == "length":
                self._write(" [cut off]")


def server_address(settings: Settings) -> str | None:
    """The server that SLLM_BASE_URL names or that runs here; None: the models in this program."""
    if named := os.environ.get("SLLM_BASE_URL"):
        return named
    here = local_url(settings.host, settings.port)
    return here if health_of(here) else None


def _key(settings: Settings) -> str | None:
    return os.environ.get("SLLM_API_KEY") or next(iter(settings.api_keys), None)
