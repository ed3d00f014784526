"""Reads how an image encoder wants its images: preprocessor_config.json.

What a file leaves out is taken from the class of transformers that it names. Pure arithmetic, so
that the catalogue can use it; what needs Pillow is in ``images``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.provider.headers.fields import finite, number, section, text
from app.provider.headers.files import optional_json

FILES = ("preprocessor_config.json", "processor_config.json")
"""The second one has the settings in its field ``image_processor``."""

Rgb = tuple[float, float, float]
"""Numbers of red, green and blue."""
Size = tuple[int, int]
"""Height and width in pixels."""
Resample = Literal[0, 1, 2, 3, 4, 5]
"""Pillow's number of a filter."""

BILINEAR: Resample = 2
BICUBIC: Resample = 3

_CLIP_MEAN: Rgb = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD: Rgb = (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN: Rgb = (0.485, 0.456, 0.406)
_IMAGENET_STD: Rgb = (0.229, 0.224, 0.225)
_HALF: Rgb = (0.5, 0.5, 0.5)
_MOST_PIXELS = 4096
"""Of a side; encoders take 224 to 518."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How an image becomes numbers.

    It is scaled to ``size``, or until its shorter side has ``shortest`` pixels, or to at most
    ``patches`` patches of ``patch`` pixels at nearly its own proportions; the one that is not 0
    counts. ``crop`` is cut out of the middle (None: nothing). Colours are multiplied with
    ``factor``, then normalised by ``mean`` and ``std``. ``floats``: they are multiplied first and
    scaled as floating-point numbers, which rounds nothing.
    """

    size: Size = (0, 0)
    shortest: int = 0
    patches: int = 0
    patch: int = 16
    crop: Size | None = None
    resample: Resample = BICUBIC
    factor: float = 1 / 255
    mean: Rgb = _HALF
    std: Rgb = _HALF
    floats: bool = False


_CLIP = ImageSettings(shortest=224, crop=(224, 224), mean=_CLIP_MEAN, std=_CLIP_STD)
_USUAL = {
    "CLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,
    "SiglipImageProcessor": ImageSettings(size=(224, 224)),
    "Siglip2ImageProcessor": ImageSettings(patches=256, resample=BILINEAR),
    "DINOv3ViTImageProcessor": ImageSettings(
        size=(224, 224), resample=BILINEAR, mean=_IMAGENET_MEAN, std=_IMAGENET_STD, floats=True
    ),
}
"""Class of transformers → what it does where the file says nothing."""


def read_image_settings(folder: Path) -> ImageSettings:
    """Read the settings of a folder; raises ValueError where they are missing or not supported.

    Raises OSError.
    """
    first, second = (optional_json(folder / name) for name in FILES)
    settings = first or section(second, "image_processor")
    if not settings:
        raise ValueError(f"{FILES[0]} is missing, which says how images are scaled")
    return image_settings(settings)


def image_settings(settings: Mapping[str, Any]) -> ImageSettings:
    """Read the object of a file; raises ValueError for what is not supported."""
    name = _class_name(settings)
    if name not in _USUAL:
        raise ValueError(f"the image processor {name or '(not named)'} is not supported")
    if settings.get("do_resize") is False or settings.get("do_pad") is True:
        raise ValueError("images that are not scaled, or are padded, are not supported")
    return _colours(_sizes(_USUAL[name], settings), settings)


def _class_name(settings: Mapping[str, Any]) -> str:
    """The class in today's spelling; older files name it ...FeatureExtractor or ...Fast."""
    name = text(settings, "image_processor_type") or text(settings, "feature_extractor_type")
    name = name.replace("FeatureExtractor", "ImageProcessor")
    return name.removesuffix("Fast").removesuffix("Pil")


def _sizes(usual: ImageSettings, settings: Mapping[str, Any]) -> ImageSettings:
    found = usual
    if usual.patches:
        patches = number(settings, "max_num_patches") or usual.patches
        found = replace(found, patches=_side(patches), patch=_side(_patch(settings, usual)))
    elif settings.get("size") is not None:
        found = _scaled(found, settings["size"])
    if settings.get("do_center_crop", usual.crop is not None) is not True:
        return replace(found, crop=None)
    if usual.floats or usual.patches:
        raise ValueError("images of this processor that are cropped are not supported")
    return replace(found, crop=_square(settings.get("crop_size"), usual.crop or (224, 224)))


def _patch(settings: Mapping[str, Any], usual: ImageSettings) -> int:
    return number(settings, "patch_size") or usual.patch


def _scaled(usual: ImageSettings, size: object) -> ImageSettings:
    """With the file's ``size``: a number, or an object of sides or of the shortest one."""
    if isinstance(size, dict) and {"longest_edge", "max_height", "max_width"} & size.keys():
        raise ValueError("images with a longest side are not supported")
    shortest = size.get("shortest_edge") if isinstance(size, dict) else size
    if shortest is not None and (usual.shortest or isinstance(size, dict)):
        return replace(usual, size=(0, 0), shortest=_side(shortest))
    return replace(usual, size=_square(size, usual.size), shortest=0)


def _square(size: object, usual: Size) -> Size:
    """Height and width of a number or of an object with both."""
    if size is None:
        return usual
    if isinstance(size, dict):
        return (_side(size.get("height")), _side(size.get("width")))
    return (_side(size), _side(size))


def _side(value: object) -> int:
    if type(value) is not int or not 0 < value <= _MOST_PIXELS:
        raise ValueError(f"{value!r} is no size of an image")
    return value


def _colours(found: ImageSettings, settings: Mapping[str, Any]) -> ImageSettings:
    factor = _finite(settings.get("rescale_factor", found.factor))
    mean = _rgb(settings.get("image_mean"), found.mean)
    std = _rgb(settings.get("image_std"), found.std)
    if not all(std):
        raise ValueError("image_std has a zero")
    if settings.get("do_normalize") is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    factor = 1.0 if settings.get("do_rescale") is False else factor
    return replace(found, resample=_resample(settings, found), factor=factor, mean=mean, std=std)


def _resample(settings: Mapping[str, Any], usual: ImageSettings) -> Resample:
    value = settings.get("resample", usual.resample)
    filters: tuple[Resample, ...] = (0, 1, 2, 3, 4, 5)
    if type(value) is not int or value not in filters:
        raise ValueError(f"{value!r} is no filter for scaling images")
    return filters[value]


def _rgb(value: object, usual: Rgb) -> Rgb:
    if value is None:
        return usual
    numbers = value if isinstance(value, list) else [value] * 3
    if len(numbers) != 3:
        raise ValueError(f"{value!r} are no numbers of three colours")
    red, green, blue = map(_finite, numbers)
    return (red, green, blue)


def _finite(value: object) -> float:
    found = finite(value)
    if found is None:
        raise ValueError(f"{str(value)[:40]} is no number that can be meant")
    return found
