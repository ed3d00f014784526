"""What the cards of encoders say, whatever holds their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.provider.card import EncoderFacts, Task
from app.provider.catalogue.folder import tokenizer_problem
from app.provider.encoding.folder import read_encoder_settings
from app.provider.encoding.recognise import encoder_kind
from app.provider.encoding.settings import EncoderKind, EncoderSettings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.files import sizes

TASKS: dict[EncoderKind, tuple[Task, ...]] = {
    "embedding": ("embedding",),
    "rerank": ("rerank",),
    "vision": ("vision",),
    "multimodal": ("multimodal", "vision"),
}
_MOST_SCALE = 1000.0
_CLIP_SCALE = 100.0
"""That of OpenAI's models, which learnt up to this bound."""


@dataclass(frozen=True, slots=True)
class EncoderReading:
    """A folder of an encoder, read. ``settings`` are None exactly where it has a ``problem``."""

    kind: EncoderKind
    settings: EncoderSettings | None
    problem: str | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of its card."""
        return TASKS[self.kind]

    @property
    def context_length(self) -> int:
        """Tokens of one input."""
        return self.settings.max_tokens if self.settings else 0

    def facts(self, scale: float | None = None, bias: float | None = None) -> EncoderFacts:
        """What the card says; ``scale`` and ``bias`` are those of the weights, if they have any.

        ``scale`` is the logarithm, as models learn it.
        """
        settings = self.settings
        if settings is None:
            return EncoderFacts(dimensions=1 if self.kind == "rerank" else 0)
        match = settings.match
        return EncoderFacts(
            dimensions=settings.dimensions,
            pooling="+".join(settings.pooling.modes) if settings.pooling else "",
            prompts=settings.prompts,
            default_prompt=settings.default_prompt,
            pairing=match.probabilities if match else "",
            scale=_scale(settings, scale) if match else 0.0,
            bias=bias if match and bias is not None and math.isfinite(bias) else 0.0,
        )


def read_encoder(path: Path, config: Mapping[str, Any]) -> EncoderReading | None:
    """Read the folder of an encoder; None for any other. Raises TooExpensive and OSError.

    ``config`` is its config.json.
    """
    kind = encoder_kind(path, config)
    if kind is None:
        return None
    try:
        settings = read_encoder_settings(path)
    except ModelNotLoadable as error:
        return EncoderReading(kind, None, str(error))
    if settings.text and (problem := _tokenizer_problem(settings.folder)):
        return EncoderReading(kind, None, problem)
    return EncoderReading(kind, settings)


def _tokenizer_problem(folder: Path) -> str | None:
    return tokenizer_problem(folder, sizes(folder))


def _scale(settings: EncoderSettings, logarithm: float | None) -> float:
    """What the cosines are multiplied with; 0 where nothing states it."""
    if logarithm is not None and abs(logarithm) <= math.log(_MOST_SCALE):
        return math.exp(logarithm)
    by_openai = "clip-vit-" in settings.root.name.lower()
    return _CLIP_SCALE if settings.model_type == "clip" and by_openai else 0.0
