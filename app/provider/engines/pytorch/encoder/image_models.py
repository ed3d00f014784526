"""Forward passes over images, and over texts in the same space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from app.provider.encoding.folders.image_settings import ImageSettings
from app.provider.encoding.inputs.images import encoder_pixels, patch_rows
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncoderItem
from app.provider.engines.pytorch.encoder.text_models import as_numbers
from app.provider.engines.pytorch.encoder.token_batch import TokenBatches
from app.provider.types import ImagePart


class ImageEncoder:
    """Vectors of images: DINOv2, DINOv3, or the vision tower of CLIP, SigLIP and SigLIP2."""

    def __init__(self, model: Any, settings: ImageSettings) -> None:
        self._compute = getattr(model, "get_image_features", model)
        self._settings = settings
        first = next(model.parameters())
        self._place = {"device": first.device, "dtype": first.dtype}
        config = getattr(model.config, "vision_config", model.config)
        self._patch: int = config.patch_size
        self._beside = 1 + (getattr(config, "num_register_tokens", 0) or 0)

    def prepare(self, part: ImagePart) -> EncoderItem:
        """Scale an image; it costs as much as its patches would as tokens."""
        pixels = encoder_pixels(part, self._settings)
        _, height, width = pixels.shape
        patches = (height // self._patch) * (width // self._patch)
        return EncoderItem(pixels=pixels, cost=patches + self._beside)

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """Vectors [images, dimensions]."""
        pixels = [item.pixels for item in batch if item.pixels is not None]
        inputs = self._patches(pixels) if self._settings.patches else self._whole(pixels)
        return as_numbers(self._compute(**inputs).pooler_output)

    def _whole(self, pixels: Sequence[Vectors]) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.from_numpy(np.stack(pixels)).to(**self._place)}

    def _patches(self, pixels: Sequence[Vectors]) -> dict[str, torch.Tensor]:
        """Images of one shape, as their patches; none is padding."""
        rows = torch.from_numpy(np.stack([patch_rows(one, self._patch) for one in pixels]))
        device = self._place["device"]
        shapes = [[side // self._patch for side in one.shape[1:]] for one in pixels]
        return {
            "pixel_values": rows.to(**self._place),
            "pixel_attention_mask": torch.ones(rows.shape[:2], dtype=torch.long, device=device),
            "spatial_shapes": torch.tensor(shapes, device=device),
        }


class PairedTextEncoder:
    """Vectors of texts in the space of images: the text tower of CLIP, SigLIP and SigLIP2."""

    def __init__(self, model: Any, pad: int) -> None:
        self._compute = model.get_text_features
        self._batches = TokenBatches(model.text_model, pad)

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """Vectors [texts, dimensions]."""
        return as_numbers(self._compute(**self._batches.inputs(batch)).pooler_output)
