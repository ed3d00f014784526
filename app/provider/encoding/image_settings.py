"""Reads how a model wants its images: ``preprocessor_config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.provider.encoding.settings import ImageSettings
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import number, section, text
from app.provider.headers.files import fault, optional_json, read_json, why_missing

_FILE = "preprocessor_config.json"
_JOINT = "processor_config.json"
"""Newer releases of transformers keep the settings of texts and images in one file."""

_Triple = tuple[float, float, float]
_IMAGENET: tuple[_Triple, _Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OPENAI: tuple[_Triple, _Triple] = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
_HALF: tuple[_Triple, _Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_BILINEAR, _BICUBIC = 2, 3
_LARGEST = 4096
"""Pixels of an edge; no encoder takes more."""
_FILTERS = range(6)
"""Pillow's numbers of its filters."""


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What a class of image processors does where its file says nothing."""

    resize: Literal["shortest_edge", "stretch", "patches"]
    colours: tuple[_Triple, _Triple]
    resample: int = _BICUBIC
    crop: bool = False
    rescale_first: bool = False


_CLIP = _Defaults("shortest_edge", _OPENAI, crop=True)
_PROCESSORS = {
    "CLIPImageProcessor": _CLIP,
    "CLIPFeatureExtractor": _CLIP,
    "BitImageProcessor": _CLIP,
    "SiglipImageProcessor": _Defaults("stretch", _HALF),
    "Siglip2ImageProcessor": _Defaults("patches", _HALF, _BILINEAR),
    "DINOv3ViTImageProcessor": _Defaults("stretch", _IMAGENET, _BILINEAR, rescale_first=True),
}


def read_image_settings(folder: Path) -> ImageSettings:
    """The settings of a folder; raises ModelNotLoadable where they are not understood."""
    settings = _read(folder)
    named = text(settings, "image_processor_type") or text(settings, "feature_extractor_type")
    defaults = _PROCESSORS.get(named.removesuffix("Fast").removesuffix("Pil"))
    if defaults is None:
        raise ModelNotLoadable(
            f"{_FILE} names an image processor that is not known here: {named or '(none)'}."
        )
    mean, std = _colours(settings, defaults)
    resize, height, width = _size(settings, defaults)
    return ImageSettings(
        resize,
        height,
        width,
        _filter(settings.get("resample"), defaults.resample),
        crop=_crop(settings, defaults, height),
        rescale=_rescale(settings),
        mean=mean,
        std=std,
        rescale_first=defaults.rescale_first,
        patch_size=number(settings, "patch_size") or 16,
        max_patches=number(settings, "max_num_patches") or 256 if resize == "patches" else 0,
    )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    joint = section(optional_json(folder / _JOINT), "image_processor")
    if joint and not path.exists():
        return joint
    try:
        return read_json(path)
    except OSError as error:
        raise ModelNotLoadable(
            f"The folder is incomplete: {_FILE} {why_missing(path)}. Download or copy it again."
        ) from error
    except ValueError as error:
        raise ModelNotLoadable(f"The folder is incomplete: {_FILE} {fault(path)}.") from error


def _size(
    settings: dict[str, Any], defaults: _Defaults
) -> tuple[Literal["shortest_edge", "stretch", "patches", "none"], int, int]:
    """What the resize does, and the height and width that it makes."""
    if defaults.resize == "patches":
        return "patches", 0, 0
    if settings.get("do_resize") is False:
        return "none", 0, 0
    size = settings.get("size")
    given = size if isinstance(size, dict) else {}
    edge = number(given, "shortest_edge") or (size if type(size) is int else 0)
    height, width = number(given, "height"), number(given, "width")
    if (given and not (edge or (height and width))) or max(edge, height, width) > _LARGEST:
        raise ModelNotLoadable(f"{_FILE} asks for an image size that is not known here.")
    if height and width:
        return "stretch", height, width
    edge = edge or 224
    return defaults.resize, edge, edge


def _crop(settings: dict[str, Any], defaults: _Defaults, height: int) -> tuple[int, int] | None:
    """The height and width of the centre that is kept; None for the whole image."""
    stated = settings.get("do_center_crop")
    if not (stated if isinstance(stated, bool) else defaults.crop):
        return None
    size = settings.get("crop_size")
    if type(size) is int and 0 < size <= _LARGEST:
        return size, size
    edges = section(settings, "crop_size")
    edge = min(height or 224, 224)
    rows, columns = number(edges, "height") or edge, number(edges, "width") or edge
    return min(rows, _LARGEST), min(columns, _LARGEST)


def _rescale(settings: dict[str, Any]) -> float:
    if settings.get("do_rescale") is False:
        return 1.0
    factor = settings.get("rescale_factor")
    return float(factor) if isinstance(factor, float) and 0 < factor <= 1 else 1 / 255


def _colours(settings: dict[str, Any], defaults: _Defaults) -> tuple[_Triple, _Triple]:
    """Mean and standard deviation of the three colours."""
    if settings.get("do_normalize") is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    mean, std = defaults.colours
    deviation = _triple(settings, "image_std", std)
    return _triple(settings, "image_mean", mean), deviation if all(deviation) else std


def _triple(settings: Mapping[str, Any], key: str, default: _Triple) -> _Triple:
    values = settings.get(key)
    if not isinstance(values, list) or len(values) != len(default):
        return default
    if not all(type(value) in (int, float) and abs(value) < _LARGEST for value in values):
        return default
    red, green, blue = map(float, values)
    return red, green, blue


def _filter(value: object, default: int) -> int:
    return value if type(value) is int and value in _FILTERS else default
