"""An answer from its prompt to its end, and what of the prompt can be read next."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from app.provider.engines.gguf.cache import Sequence
from app.provider.engines.gguf.layout import Layout
from app.provider.engines.gguf.llama_batch import Places, Vectors
from app.provider.engines.gguf.sampler import Sampler
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import PlacedImage, PreparedPrompt
from app.provider.types import Started


@dataclass(frozen=True, slots=True)
class Look:
    """A picture that has to be read: how it is laid out, and its vectors, now or soon."""

    layout: Layout
    vectors: Future[Vectors]


@dataclass(slots=True)
class SequenceState:
    """A prompt being read, then its answer being written, in one sequence of the context.

    ``unseen`` are the pictures that the sequence does not hold. Text before them is read first,
    then all are looked at (``looks``, by where they start). When that is done the client is told
    that the answer has ``started``, and the rest is read.
    """

    number: int
    prompt: PreparedPrompt
    sequence: Sequence
    sampler: Sampler
    output: OutputStream
    prefill_tokens: int
    unseen: tuple[PlacedImage, ...] = ()
    looks: dict[int, Look] = field(default_factory=dict)
    started: bool = False
    pending: int = -1  # drawn, not yet computed

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""
        return max(0, len(self.prompt.tokens) - len(self.sequence.tokens))

    @property
    def at_picture(self) -> bool:
        """Whether what is to be read next is a picture."""
        return any(one.start <= len(self.sequence.tokens) for one in self.unseen)

    @property
    def computed(self) -> int:
        """Prompt tokens that others can share: none of a half picture."""
        return self.prompt.cut_before_image(len(self.sequence.tokens))

    @property
    def beginning(self) -> Started:
        """What the client is told when nothing can be refused any more."""
        length = len(self.prompt.tokens)
        return Started(length, length - self.prefill_tokens, self.prompt.seen)

    @property
    def position(self) -> int:
        """The position of the next token."""
        return self.prompt.position(len(self.sequence.tokens))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What can be read of a prompt in one go; ``prefill_left`` tokens long."""

    answer: SequenceState
    prefill_left: int

    @property
    def prefill_tokens(self) -> int:
        """Tokens of the whole prompt that were to compute when it began."""
        return self.answer.prefill_tokens


@dataclass(frozen=True, slots=True)
class TextStretch(Stretch):
    """Tokens from a position on."""

    position: int
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class ImageStretch(Stretch):
    """Vectors of a picture, with their positions."""

    places: Places
    vectors: Vectors


def next_stretch(answer: SequenceState) -> Stretch | None:
    """What can be read next; None while pictures are being looked at."""
    if answer.at_picture and not answer.started:
        return None
    prompt, done = answer.prompt, len(answer.sequence.tokens)
    image = next((one for one in prompt.images if one.end > done), None)
    if image is not None and image.start <= done:
        return _of_image(answer, image)
    end = image.start if image else len(prompt.tokens)
    return TextStretch(answer, end - done, answer.position, prompt.tokens[done:end].tolist())


def _of_image(answer: SequenceState, image: PlacedImage) -> Stretch:
    look = answer.looks[image.start]
    offset = len(answer.sequence.tokens) - image.start
    piece = look.layout.piece_at(offset)
    done = offset - piece.start
    left = piece.length - done
    position = answer.prompt.position(image.start) + piece.position
    if piece.places is None:
        return TextStretch(answer, left, position + done, list(piece.tokens[done:]))
    vectors = look.vectors.result()[piece.row + done : piece.row + piece.length]
    places = piece.places[:, done:] + position
    return ImageStretch(answer, left, places, vectors)
