"""What the contestants are asked: words of the generated model, one token each."""

from __future__ import annotations

import random
from typing import Any

from bench.models.qwen2 import WORDS

Messages = list[dict[str, Any]]
"""Messages of OpenAI's API. ``bench.inputs.pictures`` makes lists of parts, the others text."""


def words(seed: str, count: int) -> str:
    """Text of ``count`` tokens; another seed shares no beginning with it."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def ask(seed: str, count: int) -> Messages:
    """A conversation that is one question of ``count`` words."""
    return [{"role": "user", "content": words(seed, count)}]


def chatml(messages: Messages) -> str:
    """The text that the models' own template makes of the messages."""
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages]
    return "".join(turns) + "<|im_start|>assistant\n"
