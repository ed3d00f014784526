"""Encodes with PyTorch: what the encoder engine calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.encoding.inputs.text_input import TextInput
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.engine import EngineLimits
from app.provider.engines.pytorch.encoder.image_models import ImageEncoder, PairedTextEncoder
from app.provider.engines.pytorch.encoder.loading import load_model
from app.provider.engines.pytorch.encoder.sizes import longest_input
from app.provider.engines.pytorch.encoder.text_models import (
    CausalReranker,
    CrossEncoder,
    TextEncoder,
)
from app.provider.errors import ModelNotLoadable, UnsupportedInput
from app.provider.types import ImagePart

ForwardPass = Callable[[Sequence[EncoderItem]], Vectors]


class PytorchEncoderRunner:
    """Implements ``EncoderRunner``; raises ModelNotLoadable when the folder cannot be used."""

    def __init__(self, settings: EncoderSettings, limits: EngineLimits) -> None:
        torch.set_num_threads(max(1, limits.threads))
        model = load_model(settings, limits)
        settings = _within_memory(model, settings, limits)
        self.max_tokens = settings.max_tokens
        self.dimensions = settings.dimensions
        self.device: torch.device = next(model.parameters()).device
        self._text = TextInput(settings) if settings.text else None
        self._images = ImageEncoder(model, settings.image) if settings.image else None
        self._models: dict[bool, ForwardPass] = {}
        if self._text:
            self._models[False] = _text_model(model, settings, self._text)
        if self._images:
            self._models[True] = self._images

    def prepare(self, part: EncodePart, *, index: int, prompt: str, truncate: bool) -> EncoderItem:
        """Tokenise a text or pair, or scale an image."""
        if isinstance(part, ImagePart) and self._images:
            return self._images.prepare(part)
        if self._text is None:
            raise UnsupportedInput("This model takes images.")
        return self._text.prepare(part, index=index, prompt=prompt, truncate=truncate)

    @torch.inference_mode()
    def forward(self, batch: Sequence[EncoderItem]) -> Vectors:
        """Vectors [items, dimensions], or logits [items, 1]."""
        return self._models[batch[0].pixels is not None](batch)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        torch.set_num_threads(max(1, threads))

    def close(self) -> None:
        """Nothing to free: the weights go with the process."""


def _within_memory(model: Any, settings: EncoderSettings, limits: EngineLimits) -> EncoderSettings:
    """The settings with inputs that are no longer than the memory allows."""
    if settings.text is None or settings.text.pad_to:
        return settings
    hidden: int = model.config.get_text_config().hidden_size
    longest = longest_input(settings.max_tokens, hidden, limits)
    return replace(settings, text=replace(settings.text, max_tokens=longest))


def _text_model(model: Any, settings: EncoderSettings, text: TextInput) -> ForwardPass:
    """What computes the tokens of texts and pairs."""
    if settings.kind == "multimodal":
        return PairedTextEncoder(model, text.pad_token)
    if settings.kind == "rerank" and settings.rerank_prompt:
        return CausalReranker(model, text)
    if settings.kind == "rerank":
        return CrossEncoder(model, text.pad_token)
    if settings.pooling is None:
        raise ModelNotLoadable("Its files do not say how the vectors of tokens become one.")
    return TextEncoder(model, settings, settings.pooling, text.pad_token)
