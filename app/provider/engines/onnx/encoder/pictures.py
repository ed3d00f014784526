"""Computes vectors of images, and of texts in the same space, with one graph or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.folders.image_settings import ImageSettings
from app.provider.encoding.folders.settings import EncoderSettings
from app.provider.encoding.inputs.images import patch_rows, target_size
from app.provider.encoding.outputs.vectors import Vectors
from app.provider.encoding.runner import EncoderItem
from app.provider.engines.onnx.encoder.session import Session
from app.provider.engines.onnx.encoder.tokens import TokenFeeds
from app.provider.errors import ModelNotLoadable

Feeds = dict[str, NDArray[Any]]

PIXELS = "pixel_values"
_PIXEL_NAMES = [PIXELS, "pixel_attention_mask", "spatial_shapes"]
_HIDDEN = "last_hidden_state"


class ImageEncoder:
    """A graph that makes vectors of images. ``others`` are inputs of its other half, if any."""

    def __init__(
        self, session: Session, settings: EncoderSettings, image: ImageSettings, others: Feeds
    ) -> None:
        if PIXELS not in session.inputs:
            raise ModelNotLoadable(f"{session.name} takes no images ({PIXELS}).")
        session.require([*_PIXEL_NAMES, *others])
        self._session = session
        self._image = image
        self._others = others
        wanted = ("pooler_output", _HIDDEN) if settings.kind == "vision" else ("image_embeds",)
        self._output = _output(session, settings, *wanted)

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """The vectors of images of one size [items, dimensions]."""
        pixels = [item.pixels for item in batch if item.pixels is not None]
        found = self._session.run(self._output, pixel_feeds(pixels, self._image) | self._others)
        return np.ascontiguousarray(found[:, 0]) if found.ndim == 3 else found


class MatchedTextEncoder:
    """A graph that makes vectors of texts as CLIP and SigLIP do."""

    def __init__(
        self, session: Session, settings: EncoderSettings, pad_token: int, others: Feeds
    ) -> None:
        self._session = session
        self._feeds = TokenFeeds(session, pad_token)
        session.require([*self._feeds.names, *others])
        self._others = others
        self._output = _output(session, settings, "text_embeds")

    def __call__(self, batch: Sequence[EncoderItem]) -> Vectors:
        """The vectors of texts [items, dimensions]."""
        return self._session.run(self._output, self._feeds.make(batch) | self._others)


def pixel_feeds(pixels: Sequence[NDArray[np.float32]], image: ImageSettings) -> Feeds:
    """The inputs for images of one size."""
    if not image.patches:
        return {PIXELS: np.stack(pixels)}
    rows = np.stack([patch_rows(one, image.patch) for one in pixels])
    count = rows.shape[1]
    padded = np.zeros((len(rows), max(count, image.patches), rows.shape[2]), np.float32)
    padded[:, :count] = rows
    mask = np.zeros(padded.shape[:2], np.int64)
    mask[:, :count] = 1
    _, height, width = pixels[0].shape
    shape = np.array([height // image.patch, width // image.patch])
    return {
        PIXELS: padded,
        "pixel_attention_mask": mask,
        "spatial_shapes": np.broadcast_to(shape, (len(rows), 2)),
    }


def blank_feeds(image: ImageSettings) -> Feeds:
    """The inputs for one black image, for a graph that always wants one."""
    height, width = image.crop or target_size(64, 64, image)
    return pixel_feeds([np.zeros((3, height, width), np.float32)], image)


def _output(session: Session, settings: EncoderSettings, *names: str) -> str:
    """The output with the vectors; SigLIP makes them without a projection."""
    if settings.model_type.startswith("siglip"):
        names = (*names, "pooler_output")
    for name in names:
        if name in session.outputs and session.fixed(name, -1) in (0, settings.dimensions):
            return name
    raise ModelNotLoadable(
        f"{session.name} gives no {names[0]} of {settings.dimensions} numbers; "
        f"it gives {', '.join(session.outputs[:4])}."
    )
