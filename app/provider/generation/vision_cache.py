"""A cache of image features, for the next prompt with the same image.

It knows only the bytes of what it holds: arrays of numpy, MLX and PyTorch all have ``nbytes``.
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
    """An image at the size that the model encodes. Owners never share, as with prefixes."""

    owner: str
    sha256: str
    width: int
    height: int

    @classmethod
    def of(cls, owner: str, image: PlacedImage) -> FeatureKey:
        """Make the key of an image in a prompt of ``owner``."""
        return cls(owner, image.part.sha256, image.size.width, image.size.height)


class FeatureCache(Generic[F]):
    """At most ``limit`` bytes of features; the least recently used are dropped. For any thread."""

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
        """The features of an image; None if they are not cached."""
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
