"""Images are scaled for encoders as transformers scales them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.provider.encoding.folders.image_settings import image_settings, read_image_settings
from app.provider.encoding.inputs import images
from app.provider.encoding.inputs.images import encoder_pixels, patch_rows
from app.provider.errors import UnsupportedInput
from tests.provider.encoder_image_references import SETTINGS, SIZES, STORED, references
from tests.provider.pictures import from_bytes, noise, part

CLIP = image_settings(SETTINGS["clip"])


@pytest.mark.parametrize("name", SETTINGS)
def test_images_are_scaled_as_transformers_does(name: str) -> None:
    settings = image_settings(SETTINGS[name])
    stored = np.load(STORED)
    for number, size in enumerate(SIZES):
        pixels = encoder_pixels(noise(*size, seed=number), settings)
        found = patch_rows(pixels, settings.patch) if settings.patches else pixels
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, stored[f"{name}_{number}"], rtol=0, atol=5e-6)


@pytest.mark.matrix
def test_the_stored_images_are_those_of_transformers() -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    stored = np.load(STORED)
    made = references()
    assert stored.keys() == made.keys()
    for name, pixels in made.items():
        np.testing.assert_array_equal(pixels, stored[name])


def test_a_long_and_narrow_image_is_scaled_only_where_it_is_cropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = noise(900, 3)
    whole = encoder_pixels(picture, CLIP)
    monkeypatch.setattr(images, "_LARGEST", 12 * 12)
    np.testing.assert_allclose(encoder_pixels(picture, CLIP), whole, rtol=0, atol=0.02)
    uncropped = image_settings(SETTINGS["clip"] | {"do_center_crop": False})
    with pytest.raises(UnsupportedInput, match="too long and narrow"):
        encoder_pixels(picture, uncropped)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", None])
def test_a_broken_image_is_refused(content: bytes | None) -> None:
    cut = noise(64, 64).content[:-100] if content is None else content
    with pytest.raises(UnsupportedInput, match="cannot be read"):
        encoder_pixels(from_bytes(cut, 64, 64), CLIP)


def test_colours_that_are_not_normalised_stay_what_they_are() -> None:
    plain = {"do_normalize": False, "do_rescale": False, "size": {"height": 2, "width": 2}}
    settings = image_settings({"image_processor_type": "SiglipImageProcessor", **plain})
    red = encoder_pixels(part(Image.new("RGB", (5, 5), (255, 0, 7))), settings)
    assert red.tolist() == [[[255.0] * 2] * 2, [[0.0] * 2] * 2, [[7.0] * 2] * 2]


def test_settings_of_a_processor_that_holds_several(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"preprocessor_config\.json is missing"):
        read_image_settings(tmp_path)
    both = {"image_processor": SETTINGS["clip"], "processor_class": "CLIPProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(both))
    assert read_image_settings(tmp_path) == CLIP
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SETTINGS["siglip"]))
    assert read_image_settings(tmp_path) == image_settings(SETTINGS["siglip"])


@pytest.mark.parametrize(
    "settings",
    [
        {"image_processor_type": "FlavaImageProcessor"},
        {"size": {"shortest_edge": 224}},
        SETTINGS["clip"] | {"size": {"shortest_edge": 224, "longest_edge": 448}},
        SETTINGS["clip"] | {"size": {"shortest_edge": 10**9}},
        SETTINGS["clip"] | {"size": {"height": 224}},
        SETTINGS["clip"] | {"crop_size": "224"},
        SETTINGS["clip"] | {"do_resize": False},
        SETTINGS["clip"] | {"do_pad": True},
        SETTINGS["clip"] | {"resample": 17},
        SETTINGS["clip"] | {"image_std": [1, 0, 1]},
        SETTINGS["clip"] | {"image_mean": [1, 0]},
        SETTINGS["clip"] | {"image_mean": [1, 0, float("nan")]},
        SETTINGS["siglip2"] | {"max_num_patches": 10**6},
        SETTINGS["dinov3"] | {"do_center_crop": True},
    ],
)
def test_what_is_not_supported_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not supported|is no|are no|has a zero"):
        image_settings(settings)
