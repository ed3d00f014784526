"""``sllm chat``: talking to a model in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import typer

from app.cli.health import running_server
from app.client.backend import CHAT, Backend, backend
from app.client.errors import SLLMError
from app.config import Settings

NEW = "/new"
HELP = f"Ctrl-C stops an answer, {NEW} begins a new conversation, Ctrl-D ends."

RETRIES = 2

Message = dict[str, str]


def chat(settings: Settings, model: str) -> None:
    """Ask and print until the input ends."""
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - makes the arrow keys of input() work
    server = running_server(settings)
    url, key = (server.url, server.key) if server else (None, None)
    typer.echo(f"{url or 'models in this program'}: {model or 'the default model'}. {HELP}")
    talk = Conversation(backend(url, key, None, RETRIES), model)
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
    """What has been said so far; answers are shown as they come."""

    def __init__(self, answers: Backend, model: str) -> None:
        self.messages: list[Message] = []
        self._backend = answers
        self._model = model

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
                    pieces += _shown_texts(chunk)
            except KeyboardInterrupt:
                _show(" [stopped]")
        _show("\n")
        return "".join(pieces)

    def _named(self) -> dict[str, str]:
        return {"model": self._model} if self._model else {}


def _shown_texts(chunk: dict[str, Any]) -> Iterator[str]:
    """The text of a chunk, which has been shown."""
    for choice in chunk["choices"]:
        if text := choice["delta"].get("content"):
            _show(text)
            yield text
        if choice["finish_reason"] == "length":
            _show(" [cut off]")


def _show(text: str) -> None:
    """Print at once."""
    typer.echo(text, nl=False)
