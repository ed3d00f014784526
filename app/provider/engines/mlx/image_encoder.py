"""Encodes images with MLX: a thread decodes the file, the layers are computed between steps."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import cast

import mlx.core as mx

from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import Pixels, measure, patches, scaled
from app.provider.engines.mlx.vision_tower import VisionTower
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.types import ImagePart

Layers = Generator[None, None, mx.array]
"""Computes one layer of the vision tower each time; returns the features."""


class LayerwiseEncoding:
    """The encoding of one image, a layer at a time. See ``image_encoder.Encoding``."""

    def __init__(self, pixels: Future[Pixels], layers: Callable[[Pixels], Layers]) -> None:
        self._pixels = pixels
        self._start = layers
        self._layers: Layers | None = None
        self._features: mx.array | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended, with features or with an error."""
        return self._features is not None or self._failed

    def ready(self, patience: float) -> bool:
        """Whether the file is decoded; waits at most that many seconds for it."""
        if patience:
            wait([self._pixels], patience)
        return self._pixels.done() and not self._failed

    def advance(self) -> None:
        """Compute the next layer."""
        if self._layers is None:
            self._layers = self._start(self._pixels.result())
        try:
            next(self._layers)
        except StopIteration as end:
            self._features = end.value

    def result(self) -> mx.array:
        """The features; raises UnsupportedInput for a broken image."""
        self._pixels.result()
        return cast("mx.array", self._features)

    def cancel(self) -> None:
        """Do not decode the file if that has not begun."""
        self._pixels.cancel()

    @property
    def _failed(self) -> bool:
        """Whether the image is broken."""
        return self._pixels.done() and self._pixels.exception() is not None


class MlxImageEncoder(ImageEncoder[mx.array]):
    """Encodes with ``tower``; for one thread, but ``measure``."""

    def __init__(self, tower: VisionTower, scaling: Scaling, cache_bytes: int) -> None:
        super().__init__(self._encoding, cache_bytes)
        self._tower = tower
        self._scaling = scaling
        self._decoder = ThreadPoolExecutor(1, "image-decoder")

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and tokens of an image in a prompt; raises UnsupportedInput."""
        return measure(self._scaling, part)

    def close(self) -> None:
        """Cancel everything and end the thread."""
        super().close()
        self._decoder.shutdown(cancel_futures=True)

    def _encoding(self, image: PlacedImage) -> LayerwiseEncoding:
        size = image.size
        down, across = size.height // self._scaling.side, size.width // self._scaling.side
        pixels = self._decoder.submit(scaled, image.part, size.width, size.height)
        return LayerwiseEncoding(
            pixels,
            lambda shown: self._tower.encode(patches(shown, self._scaling), down, across),
        )
