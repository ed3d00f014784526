"""Encodes images in a thread beside the decode thread: one at a time, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from app.provider.engines.gguf.image_layout import ImageLayout
from app.provider.engines.gguf.llama_batch import Vectors
from app.provider.engines.gguf.mtmd import Projector
from app.provider.engines.gguf.prefill import PendingImage
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.generation.vision_cache import FeatureCache, FeatureKey
from app.provider.types import ImagePart


class ImageEncoder:
    """A projector with a thread and a cache of its vectors. May be used from any thread."""

    def __init__(self, projector: Projector, cache_bytes: int) -> None:
        self._projector = projector
        self._cache: FeatureCache[Vectors] = FeatureCache(cache_bytes)
        self._thread = ThreadPoolExecutor(1, "image-encoder")

    @property
    def causal(self) -> bool:
        """Whether the vectors of an image may be computed in several batches."""
        return self._projector.causal

    def layout(self, part: ImagePart) -> ImageLayout:
        """Tokens and vectors of an image in a prompt; raises UnsupportedInput."""
        return self._projector.layout(part)

    def measure(self, part: ImagePart) -> ImageSize:
        """Size and number of tokens of an image in a prompt; raises UnsupportedInput."""
        return self.layout(part).size

    def framed(self, parts: Iterable[list[int] | ImagePart]) -> Iterator[list[int] | ImagePart]:
        """Put the tokens before and after each image of a prompt that the model wants there."""
        for part in parts:
            if isinstance(part, ImagePart):
                layout = self.layout(part)
                yield from (list(layout.before), part, list(layout.after))
            else:
                yield part

    def encode(self, owner: str, image: PlacedImage) -> PendingImage:
        """Begin to encode an image; its vectors are there at once where they are cached."""
        known = self._cache.get(FeatureKey.of(owner, image))
        if known is None:
            vectors = self._thread.submit(self._encode, owner, image)
        else:
            vectors = Future()
            vectors.set_result(known)
        return PendingImage(self.layout(image.part), vectors)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        self._projector.set_threads(threads)

    def close(self) -> None:
        """Free everything, after the image that is being encoded."""
        self._thread.shutdown(cancel_futures=True)
        self._projector.close()

    def _encode(self, owner: str, image: PlacedImage) -> Vectors:
        """Encode, unless an earlier request in the queue had the same image."""
        key = FeatureKey.of(owner, image)
        vectors = self._cache.get(key)
        if vectors is None:
            vectors = _in_own_thread(lambda: self._projector.encode(image))
            self._cache.put(key, vectors)
        return vectors


def _in_own_thread(work: Callable[[], Vectors]) -> Vectors:
    """Run ``work`` in a thread that ends afterwards, together with its OpenMP threads.

    As long as those exist, even asleep, libgomp counts more threads than cores and hardly spins at
    barriers: every token of every answer then takes a quarter longer.
    """
    with ThreadPoolExecutor(1, "image") as once:
        return once.submit(work).result()
