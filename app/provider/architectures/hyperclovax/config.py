"""Reads the configuration of a HyperCLOVA X vision model, in both layouts of its repository.

The first layout (April 2025) calls the language model ``language_config`` and the placeholder
``img_start_id``; since July 2025 they are ``text_config`` and ``image_token_id``. Light enough for
the catalogue: numbers only, no library that runs models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.provider.architectures.hyperclovax.tiling import Resolution, Tiling, resolutions
from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import number, section, text
from app.provider.headers.files import optional_json, read_json

MODEL_TYPE = "hyperclovax_vlm"
PROJECTORS = ("cabstractor", "linear", "mlp", "inverted_mlp")
LANGUAGES = ("llama", "hyperclovax")

_BICUBIC = 3
"""Of PIL's resampling filters."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How pictures are scaled and normalised: per channel, of values from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int
    pad_to_square: bool

    @property
    def background(self) -> tuple[int, ...]:
        """The colour around a picture that does not fill its canvas."""
        return tuple(int(one * 255) for one in self.mean)


@dataclass(frozen=True, slots=True)
class Video:
    """``slow`` queries of the first tile of each canvas, ``fast`` of the others.

    ``first_last_slow``: only the first and the last tile of the whole video are slow.
    ``canvases`` is the most of one video.
    """

    slow: int
    fast: int
    first_last_slow: bool
    canvases: int


@dataclass(frozen=True, slots=True)
class HyperClovaXConfig:
    """Both layouts in one form.

    ``text`` and ``vision`` are for transformers' own configuration classes. ``layers`` of the
    vision tower are computed. ``list_content`` is the shape of a message that the repository's
    template was written for: a list of parts, or one part.
    """

    text: dict[str, Any]
    vision: dict[str, Any]
    layers: int
    projector: str
    pos_emb: bool
    prenorm: bool
    tiling: Tiling
    pixels: Pixels
    video: Video
    image_token: int
    video_token: int
    list_content: bool

    @property
    def hidden(self) -> int:
        """Width of the language model."""
        return number(self.text, "hidden_size")

    @property
    def vision_hidden(self) -> int:
        """Width of the vision tower."""
        return number(self.vision, "hidden_size")


def read_config(folder: Path) -> HyperClovaXConfig:
    """Read ``config.json`` and ``preprocessor_config.json``; raises ModelNotLoadable."""
    try:
        stated = read_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise ModelNotLoadable("config.json cannot be read.") from error
    return parse_config(stated, optional_json(folder / "preprocessor_config.json"))


def parse_config(stated: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> HyperClovaXConfig:
    """Normalise what the two files say; raises ModelNotLoadable naming what is missing."""
    if stated.get("model_type") != MODEL_TYPE:
        raise ModelNotLoadable(f"config.json is not that of a {MODEL_TYPE} model.")
    language = _language(stated)
    vision = _vision(stated)
    return HyperClovaXConfig(
        text=language,
        vision=vision,
        layers=_layers(vision, stated.get("use_nth_layer", -2)),
        projector=_one_of(text(stated, "mm_projector_type") or "cabstractor", PROJECTORS),
        pos_emb=stated.get("proj_pos_emb", True) is True,
        prenorm=stated.get("proj_prenorm", False) is True,
        tiling=_tiling(stated, preprocessor, vision),
        pixels=_pixels(preprocessor),
        video=_video(stated, preprocessor),
        image_token=_token(stated, "image_token_id", "img_start_id"),
        video_token=_token(stated, "video_token_id", "image_token_id", "img_start_id"),
        list_content="language_config" not in stated,
    )


def _language(stated: Mapping[str, Any]) -> dict[str, Any]:
    found = section(stated, "text_config", "language_config")
    if not found:
        raise ModelNotLoadable("config.json describes no language model (text_config).")
    _one_of(text(found, "model_type"), LANGUAGES)
    _needed(found, "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    return found


def _vision(stated: Mapping[str, Any]) -> dict[str, Any]:
    found = section(stated, "vision_config")
    _one_of(text(found, "model_type"), ("siglip_vision_model",))
    _needed(found, "hidden_size", "num_hidden_layers", "image_size", "patch_size")
    return found


def _layers(vision: Mapping[str, Any], nth: object) -> int:
    """Layers of the tower up to the one whose output is used: -1 is the last one."""
    every = number(vision, "num_hidden_layers")
    if type(nth) is not int or not -every <= nth < 0:
        raise ModelNotLoadable(f"use_nth_layer {nth!r} names no layer of {every}.")
    return every + nth + 1


def _tiling(
    stated: Mapping[str, Any], preprocessor: Mapping[str, Any], vision: Mapping[str, Any]
) -> Tiling:
    size = number(vision, "image_size")
    return Tiling(
        size=size,
        side=_side(stated, preprocessor, vision),
        resolutions=_resolutions(stated, preprocessor, size) if _anyres(stated) else (),
        unpad=_flag(stated, preprocessor, "unpad"),
    )


def _anyres(stated: Mapping[str, Any]) -> bool:
    return stated.get("anyres", False) is True


def _side(
    stated: Mapping[str, Any], preprocessor: Mapping[str, Any], vision: Mapping[str, Any]
) -> int:
    """Visual tokens along one side of a tile."""
    if (text(stated, "mm_projector_type") or "cabstractor") != "cabstractor":
        return number(vision, "image_size") // number(vision, "patch_size")
    names = ("num_queries_vis_abstractor_image", "num_queries_vis_abstractor")
    return _root(number(stated, *names) or number(preprocessor, *names), names[0])


def _root(queries: int, name: str) -> int:
    side = math.isqrt(queries)
    if not queries or side * side != queries:
        raise ModelNotLoadable(f"config.json: {name} is {queries}, which is no square number.")
    return side


def _resolutions(
    stated: Mapping[str, Any], preprocessor: Mapping[str, Any], size: int
) -> tuple[Resolution, ...]:
    """The canvases as the files list them, or else all of so many tiles."""
    listed = preprocessor.get("possible_resolutions") or stated.get("possible_resolutions")
    if not listed:
        single = stated.get("use_1x1_grid", False) is True
        return resolutions(size, number(stated, "max_num_grids") or 9, single=single)
    if not isinstance(listed, list) or not all(_is_resolution(one, size) for one in listed):
        raise ModelNotLoadable(f"possible_resolutions are not all multiples of {size} pixels.")
    return tuple(Resolution(*one) for one in listed)


def _is_resolution(one: object, size: int) -> bool:
    if not isinstance(one, list) or len(one) != 2:
        return False
    return all(type(side) is int and 0 < side <= 64 * size and side % size == 0 for side in one)


def _video(stated: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> Video:
    slow = ("num_queries_vis_abstractor_video_slow", "num_queries_vis_abstractor_slow")
    fast = ("num_queries_vis_abstractor_video_fast", "num_queries_vis_abstractor_fast")
    return Video(
        slow=number(stated, *slow) or number(preprocessor, *slow),
        fast=number(stated, *fast) or number(preprocessor, *fast),
        first_last_slow=_flag(stated, preprocessor, "first_last_frames_slow"),
        canvases=number(preprocessor, "max_image_cnt") or 12,
    )


def _pixels(preprocessor: Mapping[str, Any]) -> Pixels:
    resample = preprocessor.get("resample", _BICUBIC)
    if type(resample) is not int or not 0 <= resample <= 5:
        raise ModelNotLoadable("preprocessor_config.json: resample names no filter.")
    return Pixels(
        mean=_channels(preprocessor.get("image_mean")),
        std=_channels(preprocessor.get("image_std")),
        resample=resample,
        pad_to_square=preprocessor.get("pad_to_square", True) is True,
    )


def _channels(value: object) -> tuple[float, ...]:
    if value is None:
        return (0.5, 0.5, 0.5)
    if not isinstance(value, list) or len(value) != 3:
        raise ModelNotLoadable("preprocessor_config.json: image_mean and image_std need 3 numbers.")
    if not all(type(one) in (int, float) and 0 < one <= 1 for one in value):
        raise ModelNotLoadable(
            "preprocessor_config.json: image_mean and image_std are from 0 to 1."
        )
    return tuple(float(one) for one in value)


def _flag(stated: Mapping[str, Any], preprocessor: Mapping[str, Any], name: str) -> bool:
    """A switch of the model, or else of the preprocessor; off where neither names it."""
    return stated.get(name, preprocessor.get(name, False)) is True


def _token(stated: Mapping[str, Any], *names: str) -> int:
    if found := number(stated, *names):
        return found
    raise ModelNotLoadable(f"config.json names no placeholder of pictures ({names[0]}).")


def _needed(facts: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not number(facts, name):
            raise ModelNotLoadable(f"config.json lacks {name}.")


def _one_of(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ModelNotLoadable(
            f"config.json says {value or 'nothing'!r}, not {' or '.join(known)}."
        )
    return value
