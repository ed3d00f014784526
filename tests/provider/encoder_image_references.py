"""Images as transformers scales them, for comparison: ``python -m`` this module stores them anew.

It needs PyTorch, which the tests that compare with the stored numbers do not.
"""

from __future__ import annotations

import importlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.provider.pictures import noise

STORED = Path(__file__).with_name("encoder_images.npz")

SIZES = ((48, 31), (31, 48), (16, 16), (90, 2))
"""Width and height of the images."""

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SETTINGS: dict[str, dict[str, Any]] = {
    "clip": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 12},
        "crop_size": {"height": 12, "width": 12},
    },
    "clip_of_old": {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "size": 10,
        "crop_size": 13,
        "resample": 2,
    },
    "dinov2": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 17},
        "crop_size": {"height": 14, "width": 14},
        "resample": 3,
        **_IMAGENET,
    },
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 12, "width": 14}},
    "siglip2": {
        "image_processor_type": "Siglip2ImageProcessorFast",
        "patch_size": 4,
        "max_num_patches": 12,
    },
    "dinov3": {
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        "size": {"height": 12, "width": 12},
    },
}
"""What preprocessor_config.json says, for every family."""

_FAMILIES = {
    "dinov2": ("bit", "Bit"),
    "siglip": ("siglip", "Siglip"),
    "siglip2": ("siglip2", "Siglip2"),
}
"""Module and class of transformers, where it is not CLIP's."""


def references() -> dict[str, NDArray[np.float32]]:
    """What transformers makes of every image, by the name of the settings and its number."""
    return {
        f"{name}_{number}": _reference(name, _picture(number))
        for name in SETTINGS
        for number in range(len(SIZES))
    }


def _picture(number: int) -> Image.Image:
    part = noise(*SIZES[number], seed=number)
    return Image.open(BytesIO(part.content))


def _reference(name: str, picture: Image.Image) -> NDArray[np.float32]:
    settings = {
        key: value for key, value in SETTINGS[name].items() if not key.endswith("processor_type")
    }
    if name == "dinov3":
        return _dinov3(picture)
    made = _processor(name)(**settings)(picture)
    pixels: NDArray[np.float32] = np.asarray(made["pixel_values"], np.float32)[0]
    if name == "siglip2":
        shown = int(np.asarray(made["pixel_attention_mask"]).sum())
        pixels = pixels[:shown]
    return pixels


def _processor(name: str) -> Any:
    family = _FAMILIES.get(name, ("clip", "CLIP"))
    module = f"transformers.models.{family[0]}.image_processing_pil_{family[0]}"
    return getattr(importlib.import_module(module), f"{family[1]}ImageProcessorPil")


def _dinov3(picture: Image.Image) -> NDArray[np.float32]:
    """The steps of DINOv3ViTImageProcessor, which needs torchvision."""
    torch = importlib.import_module("torch")
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] * (1 / 255)
    scaled = torch.nn.functional.interpolate(
        pixels, (12, 12), mode="bilinear", align_corners=False, antialias=True
    )
    mean, std = (torch.tensor(_IMAGENET[key])[:, None, None] for key in ("image_mean", "image_std"))
    found: NDArray[np.float32] = ((scaled[0] - mean) / std).numpy()
    return found


if __name__ == "__main__":
    np.savez_compressed(STORED, allow_pickle=False, **references())
