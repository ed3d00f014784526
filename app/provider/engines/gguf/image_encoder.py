"""Looks at pictures beside the decode thread: one after the other, and at none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from app.provider.engines.gguf.layout import Layout
from app.provider.engines.gguf.llama_batch import Vectors
from app.provider.engines.gguf.mtmd import Projector
from app.provider.engines.gguf.prefill import Look
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.generation.vision_cache import FeatureCache, FeatureKey
from app.provider.types import ImagePart


class Sight:
    """A projector with a thread and a cache of its vectors. For any thread."""

    def __init__(self, projector: Projector, cache_bytes: int) -> None:
        self._projector = projector
        self._known: FeatureCache[Vectors] = FeatureCache(cache_bytes)
        self._thread = ThreadPoolExecutor(1, "sight")

    @property
    def causal(self) -> bool:
        """Whether the vectors of a picture may be read in several steps."""
        return self._projector.causal

    def layout(self, part: ImagePart) -> Layout:
        """What a picture becomes in a prompt; raises UnsupportedInput."""
        return self._projector.layout(part)

    def measure(self, part: ImagePart) -> ImageSize:
        """The size of that."""
        return self.layout(part).size

    def framed(self, parts: Iterable[list[int] | ImagePart]) -> Iterator[list[int] | ImagePart]:
        """Put before and after each picture of a prompt the tokens that belong there."""
        for part in parts:
            if isinstance(part, ImagePart):
                layout = self.layout(part)
                yield from (list(layout.before), part, list(layout.after))
            else:
                yield part

    def look(self, owner: str, image: PlacedImage) -> Look:
        """Look at a picture: its vectors are there at once or when the thread has come to it."""
        known = self._known.get(FeatureKey.of(owner, image))
        if known is None:
            vectors = self._thread.submit(self._see, owner, image)
        else:
            vectors = Future()
            vectors.set_result(known)
        return Look(self.layout(image.part), vectors)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        self._projector.set_threads(threads)

    def close(self) -> None:
        """Free everything, when the picture in hand is done."""
        self._thread.shutdown(cancel_futures=True)
        self._projector.close()

    def _see(self, owner: str, image: PlacedImage) -> Vectors:
        """Encode, unless somebody before in the line has shown the same picture."""
        key = FeatureKey.of(owner, image)
        vectors = self._known.get(key)
        if vectors is None:
            vectors = _apart(lambda: self._projector.encode(image))
            self._known.put(key, vectors)
        return vectors


def _apart(work: Callable[[], Vectors]) -> Vectors:
    """Work in a thread that ends with it, and with it the threads that OpenMP gave it.

    While these live, asleep as they are, libgomp counts more threads than cores and hardly spins
    at barriers any more: every token of every answer then takes a quarter longer.
    """
    with ThreadPoolExecutor(1, "look") as once:
        return once.submit(work).result()
