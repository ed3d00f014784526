"""A model that converses in the workloads, and how prompts for it are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.inputs import prompts
from bench.inputs.prompts import Messages
from bench.models.qwen2 import WORDS


@dataclass(frozen=True)
class ChatModel:
    """A model's file, words that are one token each, and what its template adds.

    ``prefix`` begins the names of its figures.
    """

    path: Path
    words: Sequence[str] = tuple(WORDS)
    prefix: str = ""
    end: str = prompts.END
    system: str = ""

    def figure(self, name: str) -> str:
        """The name of a figure of this model."""
        return f"{self.prefix}{name}"

    def text(self, seed: str, count: int) -> str:
        """Text of ``count`` tokens; another seed shares no beginning with it."""
        return prompts.words(seed, count, self.words)

    def ask(self, seed: str, count: int) -> Messages:
        """A conversation that is one question of ``count`` words."""
        return prompts.ask(seed, count, self.words)

    def prompt(self, messages: Messages) -> str:
        """The text that the model's template makes of messages without a system message."""
        opening = [{"role": "system", "content": self.system}] if self.system else []
        return prompts.chatml([*opening, *messages], self.end)
