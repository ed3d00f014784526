"""The vision towers of HyperCLOVA X models, and of models with Qwen2.5-VL's tower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from app.provider.architectures.hyperclovax.model import HyperClovaX
from app.provider.architectures.hyperclovax.pixels import tiles
from app.provider.architectures.hyperclovax.tiling import Resolution, fitted
from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import measure, patches, positions, scaled
from app.provider.engines.pytorch.resumable import pause
from app.provider.errors import UnsupportedInput
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.types import ImagePart


class VisionTower(Protocol):
    """The part of a model that encodes images. A position is ``axes`` numbers."""

    axes: int

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and tokens of an image in a prompt; raises UnsupportedInput."""

    def encode(self, part: ImagePart, size: ImageSize) -> torch.Tensor:
        """Features ``[tokens, hidden]``; pauses between layers. Raises UnsupportedInput."""

    def positions(self, length: int, images: Sequence[PlacedImage]) -> torch.Tensor:
        """Positions ``[axes, length]`` of the tokens of a prompt."""


class HyperClovaXVisionTower:
    """Tiles, SigLIP's tower, the projector. Every image token has a position of its own.

    An image becomes at most ``most_tokens`` (0: the model's own bound), as far as it can.
    """

    axes = 1

    def __init__(self, model: HyperClovaX, most_tokens: int) -> None:
        model.config = replace(model.config, tiling=model.config.tiling.limited(most_tokens))
        self._model = model
        for layer in model.vision_model.encoder.layers:
            layer.register_forward_pre_hook(pause)

    def measure(self, part: ImagePart) -> ImageSize:
        """Scale the image to fill the canvas of its local view."""
        tiling = self._model.config.tiling
        tokens = tiling.tokens(part.width, part.height)
        canvas = tiling.canvas(part.width, part.height) or Resolution(tiling.size, tiling.size)
        width, height = fitted(part.width, part.height, canvas)
        return ImageSize(width, height, tokens, tokens)

    @torch.inference_mode()
    def encode(self, part: ImagePart, size: ImageSize) -> torch.Tensor:
        """Encode one tile after the other: a whole canvas at once would take much memory."""
        config = self._model.config
        picture = _opened(part)
        queries = [config.tiling.side**2]
        features: list[torch.Tensor] = []
        for tile in torch.from_numpy(tiles(picture, config.tiling, config.pixels)).split(1):
            features += self._model.features(tile, queries)
        return self._model.arranged(features, *picture.size)

    def positions(self, length: int, images: Sequence[PlacedImage]) -> torch.Tensor:
        """The number of each token."""
        return torch.arange(length)[None]


class QwenVisionTower:
    """Patches and Qwen2.5-VL's tower inside ``model``, which has ``get_image_features``.

    ``axes`` is 3 where positions have rows and columns (M-RoPE), else 1. ``tower`` has blocks.
    """

    def __init__(self, model: Any, tower: Any, scaling: Scaling, axes: int) -> None:
        self._model = model
        self._scaling = scaling
        self.axes = axes
        self._device = next(tower.parameters()).device
        for block in tower.blocks:
            block.register_forward_pre_hook(pause)

    def measure(self, part: ImagePart) -> ImageSize:
        """Count a token for each tile of the scaled image."""
        size = measure(self._scaling, part)
        return size if self.axes > 1 else ImageSize(size.width, size.height, *[size.tokens] * 2)

    @torch.inference_mode()
    def encode(self, part: ImagePart, size: ImageSize) -> torch.Tensor:
        """Encode the whole image at once."""
        values = patches(scaled(part, size.width, size.height), self._scaling)
        side = self._scaling.patch
        grid = torch.tensor([[1, size.height // side, size.width // side]], device=self._device)
        pixels = torch.from_numpy(values).to(self._device)
        (rows,) = self._model.get_image_features(pixels, grid).pooler_output
        found: torch.Tensor = rows
        return found

    def positions(self, length: int, images: Sequence[PlacedImage]) -> torch.Tensor:
        """Rows and columns are counted from the start of each image."""
        if self.axes == 1:
            return torch.arange(length)[None]
        return torch.from_numpy(positions(length, images, self._scaling.side).astype(np.int64))


def _opened(part: ImagePart) -> Image.Image:
    try:
        with Image.open(BytesIO(part.content), formats=("PNG",)) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnsupportedInput("A picture of the prompt cannot be read.") from error
