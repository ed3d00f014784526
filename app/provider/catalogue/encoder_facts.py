"""What the cards of encoders say, whatever holds their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.provider.card import EncoderFacts, Task
from app.provider.catalogue.folder import incomplete, tokenizer_problem
from app.provider.encoding.folders.folder import read_encoder_settings
from app.provider.encoding.folders.recognise import encoder_kind
from app.provider.encoding.folders.settings import EncoderKind, EncoderSettings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.files import sizes
from app.provider.headers.safetensors import IncompleteFileError, read_weights

TASKS: dict[EncoderKind, tuple[Task, ...]] = {
    "embedding": ("embedding",),
    "rerank": ("rerank",),
    "vision": ("vision",),
    "multimodal": ("multimodal", "vision"),
}
_OTHER_LAYER = "The weights in {0} have another size than {0}/config.json states."
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
    if problem := _problem(settings):
        return EncoderReading(kind, None, problem)
    return EncoderReading(kind, settings)


def _problem(settings: EncoderSettings) -> str | None:
    """What is wrong with the tokenizer, or with the layers after the pooling."""
    if settings.text and (problem := tokenizer_problem(settings.folder, sizes(settings.folder))):
        return problem
    for layer in settings.dense:
        try:
            weights = read_weights([layer.weights]).tensors
        except IncompleteFileError as error:
            return incomplete(f"{layer.weights.parent.name}/{error}")
        found = weights.get("linear.weight")
        if found is None or found.shape != (layer.outputs, layer.inputs):
            return _OTHER_LAYER.format(layer.weights.parent.name)
    return None


def _scale(settings: EncoderSettings, logarithm: float | None) -> float:
    """What the cosines are multiplied with; 0 where nothing states it."""
    if logarithm is not None and abs(logarithm) <= math.log(_MOST_SCALE):
        return math.exp(logarithm)
    by_openai = "clip-vit-" in settings.root.name.lower()
    return _CLIP_SCALE if settings.model_type == "clip" and by_openai else 0.0
