"""What was computed of pictures, kept for the next time they are shown.

The cache knows nothing of what it holds but the number of bytes: arrays of numpy, MLX and PyTorch
all tell it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from app.provider.generation.prepared_prompt import PlacedImage


class Features(Protocol):
    """An array, or several with their bytes together."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""


F = TypeVar("F", bound=Features)


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """A picture at the size that the model sees. Owners never share, as with prefixes."""

    owner: str
    sha256: str
    width: int
    height: int

    @classmethod
    def of(cls, owner: str, image: PlacedImage) -> FeatureKey:
        """The key of a picture in a prompt of ``owner``."""
        return cls(owner, image.part.sha256, image.size.width, image.size.height)


class FeatureCache(Generic[F]):
    """At most ``limit`` bytes of features; the least recently used leave. For any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[FeatureKey, F] = OrderedDict()  # least recently used first
        self._size = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self._size

    def get(self, key: FeatureKey) -> F | None:
        """What was computed of a picture, unless it has left."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: FeatureKey, features: F) -> None:
        """Keep the features; those larger than the whole cache are not kept."""
        with self._lock:
            self._forget(key)
            if features.nbytes > self._limit:
                return
            while self._size + features.nbytes > self._limit:
                self._forget(next(iter(self._held)))
            self._held[key] = features
            self._size += features.nbytes

    def _forget(self, key: FeatureKey) -> None:
        if (features := self._held.pop(key, None)) is not None:
            self._size -= features.nbytes
