"""How pictures are scaled and cut for Qwen2.5-VL, beside what transformers does."""

from __future__ import annotations

import importlib
import random
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.provider.architectures.qwen_vl import LONGEST, Scaling
from app.provider.architectures.qwen_vl_pixels import measure, patches, positions, scaled
from app.provider.errors import UnsupportedInput
from app.provider.generation.prepared_prompt import place_images
from app.provider.types import ImagePart
from tests.provider.pictures import from_bytes, noise, part

SIDE = 28


def theirs() -> Any:
    """The module of transformers that needs no PyTorch."""
    pytest.importorskip("transformers", reason="qwen_vl: transformers is not installed")
    return importlib.import_module("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")


@pytest.mark.parametrize(
    ("least", "most"), [(3136, 12_845_056), (8 * 784, 49 * 784), (4 * 784, 4 * 784)]
)
def test_sizes_are_those_of_transformers_and_never_larger_than_allowed(
    least: int, most: int
) -> None:
    smart_resize, scaling = theirs().smart_resize, Scaling(min_pixels=least, max_pixels=most)
    draw = random.Random(3)
    alike = 0
    for _ in range(3000):
        width, height = (int(10 ** draw.uniform(0, 4)) for _ in range(2))
        if max(width, height) > LONGEST * min(width, height):
            continue
        size = scaling.size(width, height)
        expected = smart_resize(height, width, SIDE, least, most)[::-1]
        assert size[0] * size[1] <= most
        assert size == expected or expected[0] * expected[1] > most
        alike += size == expected
    assert alike > 300


@pytest.mark.parametrize("size", [(100, 60), (333, 517), (900, 200), (20, 31)])
def test_patches_are_those_of_transformers(size: tuple[int, int]) -> None:
    scaling = Scaling(min_pixels=8 * 784, max_pixels=49 * 784)
    shown = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8))
    processor = theirs().Qwen2VLImageProcessorPil(min_pixels=8 * 784, max_pixels=49 * 784)
    expected = processor(shown, return_tensors="np")
    seen = measure(scaling, part(shown))
    ours = patches(scaled(part(shown), seen.width, seen.height), scaling)
    assert np.abs(ours - expected["pixel_values"]).max() < 1e-5
    assert seen.tokens == expected["image_grid_thw"].prod() // 4


def test_positions_of_text_around_a_picture() -> None:
    """Two rows of three tiles stand still in time; the text goes on after the longer side."""
    wide = noise(84, 56)
    scaling = Scaling(min_pixels=1)
    tokens, images = place_images([[1, 2], wide, [3, 4]], partial(measure, scaling))
    assert positions(len(tokens), images, SIDE).tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6],
    ]


def test_no_text_is_between_two_pictures() -> None:
    scaling = Scaling(min_pixels=1)
    parts: list[list[int] | ImagePart] = [[], noise(28, 56), noise(56, 28), [7]]
    tokens, images = place_images(parts, partial(measure, scaling))
    assert positions(len(tokens), images, SIDE).tolist() == [
        [0, 0, 2, 2, 4],
        [0, 1, 2, 2, 4],
        [0, 0, 2, 3, 4],
    ]


def test_a_strip_is_refused_with_its_size() -> None:
    with pytest.raises(UnsupportedInput, match="2010 by 10 pixels"):
        Scaling().size(2010, 10)
    assert Scaling().size(2000, 10)


def test_what_a_user_allows_bounds_the_tokens() -> None:
    scaling = Scaling.of({"min_pixels": 16 * 784, "max_pixels": 256 * 784})
    assert (scaling.min_tokens, scaling.max_tokens) == (16, 256)
    assert scaling.limited(0) == scaling
    few = scaling.limited(9)
    assert (few.min_tokens, few.max_tokens) == (9, 9)
    for size in ((10, 11), (4000, 3000), (3, 600), (1, 1)):
        width, height = few.size(*size)
        assert width * height <= 9 * 784


@pytest.mark.parametrize(
    "settings",
    [
        {"patch_size": 0, "merge_size": -1, "min_pixels": "many", "max_pixels": None},
        {"size": [], "image_mean": [0.5, 0.5], "image_std": [0, 0, 0]},
        {"image_mean": "white", "image_std": [float("nan")] * 3, "size": {"longest_edge": -1}},
    ],
)
def test_settings_that_make_no_sense_are_not_followed(settings: dict[str, Any]) -> None:
    assert Scaling.of(settings) == Scaling()


def test_both_spellings_of_the_bounds_are_read() -> None:
    old = Scaling.of({"min_pixels": 3136, "max_pixels": 12_845_056})
    new = Scaling.of({"size": {"shortest_edge": 3136, "longest_edge": 12_845_056}})
    assert old == new == Scaling(max_pixels=12_845_056)


def test_a_file_that_is_no_picture_is_an_error_of_the_user() -> None:
    for content in (b"", b"no picture", noise(28, 28).content[:99]):
        with pytest.raises(UnsupportedInput, match="cannot be read"):
            scaled(from_bytes(content, 28, 28), 28, 28)
