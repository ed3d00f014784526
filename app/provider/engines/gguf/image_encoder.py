"""Encodes images with libmtmd in a thread beside the decode thread, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from app.provider.engines.gguf.image_layout import ImageLayout
from app.provider.engines.gguf.llama_batch import Vectors
from app.provider.engines.gguf.mtmd import Projector
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.prepared_prompt import ImageSize, PlacedImage
from app.provider.types import ImagePart


class ThreadEncoding:
    """The encoding of one image in another thread. See ``image_encoder.Encoding``."""

    def __init__(self, vectors: Future[Vectors]) -> None:
        self._vectors = vectors

    @property
    def done(self) -> bool:
        """Whether it has ended, with vectors or with an error."""
        return self._vectors.done()

    def ready(self, patience: float) -> bool:
        """Wait at most that many seconds for its end; there are no pieces to compute here."""
        if patience:
            wait([self._vectors], patience)
        return False

    def advance(self) -> None:
        """Nothing to do: the other thread computes all of it."""

    def result(self) -> Vectors:
        """The vectors; raises what the projector raised."""
        return self._vectors.result()

    def cancel(self) -> None:
        """Do not begin, unless it has begun."""
        self._vectors.cancel()


class MtmdImageEncoder(ImageEncoder[Vectors]):
    """A projector with a thread of its own.

    Sharing the cores costs running answers more than it gains, but libmtmd cannot stop in the
    middle of an image.
    """

    concurrent = True

    def __init__(self, projector: Projector, cache_bytes: int) -> None:
        super().__init__(self._begin, cache_bytes)
        self._projector = projector
        self._thread = ThreadPoolExecutor(1, "image-encoder")

    @property
    def causal(self) -> bool:
        """Whether the vectors of an image may be computed in several batches."""
        return self._projector.causal

    def layout(self, part: ImagePart) -> ImageLayout:
        """Tokens and vectors of an image in a prompt; for any thread. Raises UnsupportedInput."""
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

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        self._projector.set_threads(threads)

    def close(self) -> None:
        """Free everything, after the image that is being encoded."""
        super().close()
        self._thread.shutdown(cancel_futures=True)
        self._projector.close()

    def _begin(self, image: PlacedImage) -> ThreadEncoding:
        return ThreadEncoding(self._thread.submit(_in_own_thread, self._projector.encode, image))


def _in_own_thread(encode: Callable[[PlacedImage], Vectors], image: PlacedImage) -> Vectors:
    """Encode in a thread that ends afterwards, together with its OpenMP threads.

    As long as those exist, even asleep, libgomp counts more threads than cores and hardly spins at
    barriers: every token of every answer then takes a quarter longer.
    """
    with ThreadPoolExecutor(1, "image") as once:
        return once.submit(encode, image).result()
