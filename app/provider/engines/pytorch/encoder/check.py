"""Checks a loaded encoder: what it computes has the right size and does not depend on a batch."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engines.pytorch.encoder.runner import PytorchEncoderRunner
from app.provider.engines.pytorch.pretrained import reason
from app.provider.errors import ModelNotLoadable
from app.provider.types import ImagePart, PairPart, TextPart

_TOLERANCE = 0.05
"""How far a vector in a batch may be from the same one alone, relative to its largest number.

Half precision takes most of it; a model that computes its padding like text is beyond it.
"""

_NO_NUMBERS = (
    "The model's arithmetic breaks down (NaN): its files may be damaged, or its number type is too "
    "small: float16 overflows where bfloat16 does not."
)


def check(runner: PytorchEncoderRunner, settings: EncoderSettings) -> None:
    """Compute an image, and a short and a longer text alone and together.

    Raises ModelNotLoadable.
    """
    try:
        if settings.image:
            _check_numbers(runner.forward([_image(runner)]), settings.dimensions)
        if settings.text:
            items = [_text(runner, settings, text) for text in ("a", "a b c d e f g h")]
            alone = np.concatenate([runner.forward([item]) for item in items])
            _check_numbers(alone, settings.dimensions)
            _compare(alone, runner.forward(items))
    except ModelNotLoadable:
        raise
    except Exception as error:  # whatever its code for the architecture stumbles over
        raise ModelNotLoadable(f"The model cannot be computed: {reason(error)}") from error


def _image(runner: PytorchEncoderRunner) -> EncoderItem:
    content = BytesIO()
    Image.new("RGB", (32, 32), (200, 120, 40)).save(content, "PNG")
    part = ImagePart(content.getvalue(), "", 32, 32)
    return runner.prepare(part, index=0, prompt="", truncate=False)


def _text(runner: PytorchEncoderRunner, settings: EncoderSettings, text: str) -> EncoderItem:
    part: EncodePart = PairPart(text, text) if settings.kind == "rerank" else TextPart(text)
    return runner.prepare(part, index=0, prompt="", truncate=True)


def _check_numbers(vectors: Vectors, dimensions: int) -> None:
    if not np.isfinite(vectors).all():
        raise ModelNotLoadable(_NO_NUMBERS)
    if vectors.shape[1] != dimensions:
        raise ModelNotLoadable(
            f"Its vectors have {vectors.shape[1]} dimensions, and its files state {dimensions}."
        )


def _compare(alone: Vectors, together: Vectors) -> None:
    difference = float(np.abs(alone - together).max())
    if not difference <= _TOLERANCE * max(float(np.abs(alone).max()), 1e-6):
        raise ModelNotLoadable(
            "transformers computes this architecture in a way that cannot be batched here."
        )
