"""The state of a request, and the part of its prompt that can be computed next."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from app.provider.engines.gguf.cache import Sequence
from app.provider.engines.gguf.image_layout import ImageLayout
from app.provider.engines.gguf.llama_batch import ImagePositions, Vectors
from app.provider.engines.gguf.sampler import Sampler
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import PlacedImage, PreparedPrompt


@dataclass(frozen=True, slots=True)
class PendingImage:
    """An image whose vectors are being computed, or are there already."""

    layout: ImageLayout
    vectors: Future[Vectors]


@dataclass(slots=True)
class SequenceState:
    """A request in one sequence of the context: prefill of its prompt, then its answer.

    ``uncached_images`` are those that the sequence does not hold. The text before them is computed
    first, then all of them are encoded (``pending_images``, by the token they start at). After that
    the request has ``started``, and the rest of the prompt is computed.
    """

    number: int
    prompt: PreparedPrompt
    sequence: Sequence
    sampler: Sampler
    output: OutputStream
    prefill_tokens: int
    uncached_images: tuple[PlacedImage, ...] = ()
    pending_images: dict[int, PendingImage] = field(default_factory=dict)
    started: bool = False
    next_token: int = -1  # drawn, not yet computed

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""
        return max(0, len(self.prompt.tokens) - len(self.sequence.tokens))

    @property
    def at_image(self) -> bool:
        """Whether an image comes next in the prompt."""
        return any(one.start <= len(self.sequence.tokens) for one in self.uncached_images)

    @property
    def computed(self) -> int:
        """Prompt tokens that other requests can share; they end inside no image."""
        return self.prompt.cut_before_image(len(self.sequence.tokens))

    @property
    def position(self) -> int:
        """The position of the next token."""
        return self.prompt.position(len(self.sequence.tokens))


@dataclass(frozen=True, slots=True)
class PrefillChunk:
    """The next ``prefill_left`` tokens of a prompt that can be computed in one batch."""

    answer: SequenceState
    prefill_left: int

    @property
    def prefill_tokens(self) -> int:
        """Prompt tokens that were not in the cache when the request began."""
        return self.answer.prefill_tokens


@dataclass(frozen=True, slots=True)
class TextChunk(PrefillChunk):
    """Tokens from a position on."""

    position: int
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class ImageChunk(PrefillChunk):
    """Vectors of an image, with their positions."""

    image_positions: ImagePositions
    vectors: Vectors


def next_chunk(answer: SequenceState) -> PrefillChunk | None:
    """The part of a prompt that can be computed next; None while its images are being encoded."""
    if answer.at_image and not answer.started:
        return None
    prompt, done = answer.prompt, len(answer.sequence.tokens)
    image = next((one for one in prompt.images if one.end > done), None)
    if image is not None and image.start <= done:
        return _image_chunk(answer, image)
    end = image.start if image else len(prompt.tokens)
    return TextChunk(answer, end - done, answer.position, prompt.tokens[done:end].tolist())


def _image_chunk(answer: SequenceState, image: PlacedImage) -> PrefillChunk:
    job = answer.pending_images[image.start]
    offset = len(answer.sequence.tokens) - image.start
    piece = job.layout.piece_at(offset)
    done = offset - piece.start
    left = piece.length - done
    position = answer.prompt.position(image.start) + piece.position
    if piece.image_positions is None:
        return TextChunk(answer, left, position + done, list(piece.tokens[done:]))
    vectors = job.vectors.result()[piece.row + done : piece.row + piece.length]
    image_positions = piece.image_positions[:, done:] + position
    return ImageChunk(answer, left, image_positions, vectors)
