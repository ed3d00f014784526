"""What the contestants are asked: words that are one token each for the model that is asked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from bench.models.qwen2 import WORDS

Messages = list[dict[str, Any]]
"""Messages of OpenAI's API. ``bench.inputs.pictures`` makes lists of parts, the others text."""

END = "<|im_end|>"


def words(seed: str, count: int, vocabulary: Sequence[str] = WORDS) -> str:
    """Text of ``count`` tokens; another seed shares no beginning with it."""
    return " ".join(random.Random(seed).choices(vocabulary, k=count))


def ask(seed: str, count: int, vocabulary: Sequence[str] = WORDS) -> Messages:
    """A conversation that is one question of ``count`` words."""
    return [{"role": "user", "content": words(seed, count, vocabulary)}]


def chatml(messages: Messages, end: str = END) -> str:
    """The text that the models' own template makes of the messages."""
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}{end}\n" for turn in messages]
    return "".join(turns) + "<|im_start|>assistant\n"
