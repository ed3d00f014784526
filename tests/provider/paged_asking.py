"""Asks the ONNX engine for paged models with tokens as they are."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.provider.engine import ENGINES, Engine, EngineLimits, EngineSpec, load
from app.provider.errors import ProviderError
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.types import End, Sampling
from tests.provider.asking import Reply
from tests.provider.paged_model import CONTEXT, likeliest

PROMPT = range(100, 180)
"""Tokens."""


def build(folder: Path, **limits: Any) -> Engine:
    """The engine, in this process."""
    spec = EngineSpec(ENGINES["onnx"], str(folder), EngineLimits(**limits))
    return load(spec, lambda percent: None)


class Spoken:
    """What tokens are as text."""

    def __init__(self, folder: Path) -> None:
        self._words = HubTokenizer(folder)

    def __call__(self, tokens: Sequence[int]) -> str:
        """The text of an answer."""
        return b"".join(self._words.piece(token) or b"" for token in tokens).decode(errors="ignore")

    def answer(self, text: str, count: int) -> str:
        """What the stand-in must answer, computed without any pages."""
        asked = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        return self(likeliest(self._words.tokenize(asked), count))


def admit(engine: Engine, job: int, tokens: Sequence[int], owner: str = "", **options: Any) -> None:
    """Ask with tokens as they are, at temperature 0."""
    sampling = Sampling(temperature=0.0, **{"max_tokens": 12} | options)
    prompt = PreparedPrompt(array("i", tokens), owner, sampling, context_length=CONTEXT)
    assert engine.admit(job, prompt)


def replies(engine: Engine, *jobs: int) -> list[Reply]:
    """Step until these jobs have ended."""
    heard = {job: Reply() for job in jobs}
    while not all(map(_ended, heard.values())):
        for job, event in engine.step():
            assert not isinstance(event, ProviderError)
            heard[job].events.append(event)
    return list(heard.values())


def _ended(reply: Reply) -> bool:
    return bool(reply.events) and isinstance(reply.events[-1], End)


def continued(engine: Engine, tokens: Sequence[int], **options: Any) -> Reply:
    """Ask one and wait for the whole answer."""
    admit(engine, 0, tokens, **options)
    return replies(engine, 0)[0]
