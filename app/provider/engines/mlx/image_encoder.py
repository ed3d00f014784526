"""The pictures of waiting prompts: decoded in a thread, looked at between steps, remembered."""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import mlx.core as mx

from app.provider.architectures.qwen_vl import Scaling
from app.provider.architectures.qwen_vl_pixels import Pixels, measure, patches, scaled
from app.provider.engines.mlx.mrope_positions import Seen
from app.provider.engines.mlx.vision_tower import Tower
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage, PreparedPrompt
from app.provider.generation.vision_cache import FeatureCache, FeatureKey
from app.provider.types import ImagePart

_PATIENCE = 0.02
"""Seconds to wait for a decoded picture when there is nothing else to do."""


@dataclass(slots=True)
class Look:
    """A picture that is being looked at for some jobs."""

    pixels: Future[Pixels]
    size: ImageSize
    jobs: set[int] = field(default_factory=set)
    layers: Generator[None, None, mx.array] | None = None
    features: mx.array | None = None


class Sight:
    """Looks at the pictures of prompts with ``tower``, one after the other.

    ``memory`` bytes of features are kept. For one thread, but ``measure``.
    """

    def __init__(self, tower: Tower, scaling: Scaling, memory: int) -> None:
        self._tower = tower
        self._scaling = scaling
        self._known: FeatureCache[mx.array] = FeatureCache(memory)
        self._looks: dict[FeatureKey, Look] = {}
        self._decoder = ThreadPoolExecutor(1, "pictures")

    def measure(self, part: ImagePart) -> ImageSize:
        """What a picture becomes in a prompt; raises UnsupportedInput."""
        return measure(self._scaling, part)

    def seen(self, job: int, prompt: PreparedPrompt, done: int) -> list[Seen] | None:
        """What is still to be read of the pictures, after ``done`` tokens; None: not yet there.

        Raises UnsupportedInput when one of them cannot be read.
        """
        found: list[Seen] = []
        for image in prompt.images:
            if image.end > done:
                features = self._features(job, prompt.owner, image)
                if features is not None:
                    found.append(Seen(image.start, image.end, features))
        if len(found) < sum(image.end > done for image in prompt.images):
            return None
        self.forget(job)
        return found

    def work(self, seconds: float, *, alone: bool) -> None:
        """Look at pictures, one layer at least and so long; ``alone``: nothing else can go on."""
        begun = time.perf_counter()
        for key, look in list(self._looks.items()):
            if look.features is None and alone:
                wait([look.pixels], _PATIENCE)
            while look.features is None and look.pixels.done() and not look.pixels.exception():
                self._go_on(key, look)
                if time.perf_counter() - begun >= seconds:
                    return

    def forget(self, job: int) -> None:
        """The job needs no picture any more; what nobody needs is given up."""
        for key, look in list(self._looks.items()):
            look.jobs.discard(job)
            if not look.jobs:
                look.pixels.cancel()
                del self._looks[key]

    def close(self) -> None:
        """End the thread."""
        self._decoder.shutdown(cancel_futures=True)

    def _features(self, job: int, owner: str, image: PlacedImage) -> mx.array | None:
        """Features of a picture; where they are not known, somebody begins to look at it."""
        key = FeatureKey.of(owner, image)
        known = self._known.get(key)
        if known is not None:
            return known
        if key not in self._looks:
            size = image.size
            pixels = self._decoder.submit(scaled, image.part, size.width, size.height)
            self._looks[key] = Look(pixels, size)
        look = self._looks[key]
        look.jobs.add(job)
        if look.pixels.done():
            look.pixels.result()  # raises what went wrong
        return look.features

    def _go_on(self, key: FeatureKey, look: Look) -> None:
        """Compute one more layer of a picture."""
        if look.layers is None:
            side = self._scaling.side
            seen = patches(look.pixels.result(), self._scaling)
            look.layers = self._tower.look(seen, look.size.height // side, look.size.width // side)
        try:
            next(look.layers)
        except StopIteration as end:
            look.features = end.value
            self._known.put(key, end.value)
