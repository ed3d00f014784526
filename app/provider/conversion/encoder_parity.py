"""Compares the graphs of an encoder with the model that they were made of."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.encoding.outputs.vectors import Vectors, normalize, sigmoid
from app.provider.encoding.runner import EncodePart
from app.provider.engine import EngineLimits
from app.provider.engines.onnx.encoder.engine import load_runner
from app.provider.engines.pytorch.encoder.runner import PytorchEncoderRunner
from app.provider.errors import ModelNotLoadable
from app.provider.types import ImagePart, PairPart, TextPart

TOLERANCE = 1e-4
"""Of each number of a vector of length 1; of a logit, relative to the largest."""
LEAST_COSINE = 0.98
"""Of vectors whose weights were packed into eight bits."""
MOST_APART = 0.1
"""Of scores from 0 to 1 in that case."""

_TEXTS = (
    "A",
    "model of vectors",
    "reads words in any order. " * 4,
    "서울 is far from München. " * 99,
)
"""The last one is longer than the windows of models that look no further."""
_SIZES = ((64, 64), (300, 97), (50, 200))


def check_parity(settings: EncoderSettings, folder: Path, bits: int) -> None:
    """Raise ModelNotLoadable unless the graphs in ``folder`` compute what the model does."""
    limits = EngineLimits(torch_dtype="float32")
    model, graphs = PytorchEncoderRunner(settings, limits), load_runner(folder, limits)
    for parts in _samples(settings):
        items = [model.prepare(part, index=0, prompt="", truncate=True) for part in parts]
        for batch in (items[:3], items[3:], items):
            if batch:
                _compare(settings, model.forward(batch), graphs.forward(batch), bits)


def _samples(settings: EncoderSettings) -> list[list[EncodePart]]:
    """Inputs that are computed together; those of one length make a batch without padding."""
    texts: list[EncodePart] = [TextPart(text) for text in _TEXTS]
    pairs: list[EncodePart] = [PairPart(_TEXTS[2], text) for text in _TEXTS]
    images: list[EncodePart] = [_image(seed, *size) for seed, size in enumerate(_SIZES)]
    if settings.kind == "multimodal":
        return [texts, images]
    return [{"embedding": texts, "rerank": pairs, "vision": images}[settings.kind]]


def _image(seed: int, width: int, height: int) -> ImagePart:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    file = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).resize((width, height)).save(file, "PNG")
    return ImagePart(file.getvalue(), str(seed), width, height)


def _compare(settings: EncoderSettings, wanted: Vectors, found: Vectors, bits: int) -> None:
    scores = settings.kind == "rerank"
    apart = _score_distance(wanted, found) if scores else _distance(wanted, found)
    most = TOLERANCE
    if bits:
        apart = _packed_score_distance(wanted, found) if scores else _angle(wanted, found)
        most = MOST_APART if scores else 1 - LEAST_COSINE
    if not apart <= most:
        raise ModelNotLoadable(
            f"Its graph computes other numbers than PyTorch does: they differ by {apart:.2g}, "
            f"which is more than {most:.2g}."
        )


def _distance(wanted: Vectors, found: Vectors) -> float:
    return float(np.abs(normalize(wanted) - normalize(found)).max())


def _angle(wanted: Vectors, found: Vectors) -> float:
    return 1 - float((normalize(wanted) * normalize(found)).sum(axis=1).min())


def _score_distance(wanted: Vectors, found: Vectors) -> float:
    return float(np.abs(wanted - found).max() / max(1.0, float(np.abs(wanted).max())))


def _packed_score_distance(wanted: Vectors, found: Vectors) -> float:
    one, other = (sigmoid(logits) for logits in (wanted, found))
    return float(np.abs(one - other).max())
