"""Encodes the images of waiting prompts, and keeps the features.

Most engines encode on the thread that decodes, between two steps: an encoding goes on in pieces, so
that the running answers do not have to wait for a whole image. Others encode in a thread of their
own meanwhile (``concurrent``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from app.provider.generation.prepared_prompt import PlacedImage, PreparedPrompt
from app.provider.generation.vision_cache import FeatureCache, FeatureKey, Features
from app.provider.types import ImagePart

_PATIENCE = 0.02
"""Seconds to wait for an encoding that cannot go on yet, when there is nothing else to do."""

F = TypeVar("F", bound=Features)
F_co = TypeVar("F_co", bound=Features, covariant=True)


class Encoding(Protocol[F_co]):
    """The encoding of one image, in pieces."""

    @property
    def done(self) -> bool:
        """Whether it has ended, with features or with an error."""

    def ready(self, patience: float) -> bool:
        """Whether the next piece can be computed; waits at most that many seconds for it."""

    def advance(self) -> None:
        """Compute the next piece."""

    def result(self) -> F_co:
        """The features ``[tokens, hidden]``; raises UnsupportedInput for a broken image."""

    def cancel(self) -> None:
        """Stop for good."""


@dataclass(frozen=True, slots=True)
class ImageFeatures(Generic[F]):
    """An image of a prompt with its features."""

    image: PlacedImage
    features: F


@dataclass(slots=True)
class _PendingImage(Generic[F]):
    """An image that is being encoded for some jobs."""

    encoding: Encoding[F]
    jobs: set[int] = field(default_factory=set)


class ImageEncoder(Generic[F]):
    """A queue of images. ``start`` begins an encoding; ``cache_bytes`` of features are kept.

    Belongs to one thread.
    """

    concurrent = False

    def __init__(self, start: Callable[[PlacedImage], Encoding[F]], cache_bytes: int) -> None:
        self._start = start
        self._cache: FeatureCache[F] = FeatureCache(cache_bytes)
        self._pending: dict[FeatureKey, _PendingImage[F]] = {}

    @property
    def busy(self) -> bool:
        """Whether an image waits to be encoded."""
        return any(not pending.encoding.done for pending in self._pending.values())

    def framed(self, parts: Iterable[list[int] | ImagePart]) -> Iterable[list[int] | ImagePart]:
        """Put the tokens before and after each image of a prompt that the model wants there.

        Most models' chat templates write them.
        """
        return parts

    def features(
        self, job: int, prompt: PreparedPrompt, computed: int
    ) -> list[ImageFeatures[F]] | None:
        """Features of the images after the first ``computed`` tokens; None until all are encoded.

        Raises UnsupportedInput when one of them is broken, and what its encoding raised.
        """
        found: list[ImageFeatures[F]] = []
        missing = False
        for image in prompt.images:
            if image.end > computed:
                features = self._features_of(job, prompt.owner, image)
                missing = missing or features is None
                if features is not None:
                    found.append(ImageFeatures(image, features))
        if missing:
            return None
        self.forget(job)
        return found

    def work(self, seconds: float, *, alone: bool = False) -> None:
        """Encode for so long, but at least one piece; ``alone``: there is nothing else to do."""
        begun, patience = time.perf_counter(), _PATIENCE if alone else 0.0
        for pending in list(self._pending.values()):
            encoding = pending.encoding
            while not encoding.done and encoding.ready(patience):
                encoding.advance()
                if time.perf_counter() - begun >= seconds:
                    return
            patience = 0.0  # images wait for the same thread: one wait is enough

    def forget(self, job: int) -> None:
        """Cancel the images that no other job needs."""
        for key, pending in list(self._pending.items()):
            pending.jobs.discard(job)
            if not pending.jobs:
                pending.encoding.cancel()
                del self._pending[key]

    def close(self) -> None:
        """Cancel everything."""
        for job in {job for pending in self._pending.values() for job in pending.jobs}:
            self.forget(job)

    def _features_of(self, job: int, owner: str, image: PlacedImage) -> F | None:
        """Features of an image; where nothing is known of it, its encoding begins."""
        key = FeatureKey.of(owner, image)
        if (known := self._cache.get(key)) is not None:
            return known
        if key not in self._pending:
            self._pending[key] = _PendingImage(self._start(image))
        pending = self._pending[key]
        pending.jobs.add(job)
        if not pending.encoding.done:
            return None
        features = pending.encoding.result()
        self._cache.put(key, features)
        return features
