"""A tokenised prompt with its images, as all batching engines take it."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.provider.errors import ContextOverflow, UnsupportedInput
from app.provider.generation.constraints.guide import AnswerGuide
from app.provider.generation.thinking import NO_THINKING, ThinkingStart
from app.provider.types import (
    ImagePart,
    Prompt,
    Sampling,
    SeenImage,
    Started,
)


@dataclass(frozen=True, slots=True)
class ImageSize:
    """An image in a prompt: scaled size in pixels, tokens, and how many positions it takes.

    With M-RoPE an image takes fewer positions than tokens.
    """

    width: int
    height: int
    tokens: int
    positions: int


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image in a prompt, where ``size.tokens`` tokens from ``start`` on stand for it."""

    part: ImagePart
    start: int
    size: ImageSize

    @property
    def end(self) -> int:
        """The token after it."""
        return self.start + self.size.tokens

    @property
    def reported(self) -> SeenImage:
        """The image as reported to the client."""
        size = self.size
        return SeenImage(self.part.sha256, size.width, size.height, size.tokens)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How an answer is to be read: the fields of ``PreparedPrompt``."""

    thinking: ThinkingStart | None = NO_THINKING
    output_format: str = ""
    markers: frozenset[str] = frozenset()


NO_FORM = AnswerForm()
"""The prompt opens no thinking and offers no tools."""


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """A tokenised prompt. ``tokens`` are 32-bit integers, those of images negative.

    Image tokens are made of the image's digest and size: equal tokens mean equal images.
    ``thinking`` is None where thinking and answer are one text. ``output_format`` is that of
    ``Started``; ``markers`` are control tokens that the answer shows for it. ``guide`` makes the
    guide of an answer of so many tokens, where the answer has one. ``context_length`` tokens hold
    the prompt and its answer. The other fields are those of ``Prompt``.
    """

    tokens: array[int]
    owner: str
    sampling: Sampling
    images: tuple[PlacedImage, ...] = ()
    thinking: ThinkingStart | None = NO_THINKING
    shows_thinking: bool = False
    keep_special: bool = False
    logprobs: int | None = None
    output_format: str = ""
    markers: frozenset[str] = frozenset()
    context_length: int = 0
    guide: Callable[[int], AnswerGuide] | None = None

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return len(self.tokens)

    def max_answer_tokens(self, default: int) -> int:
        """Tokens the answer may have: what was asked for or else ``default``, where it fits."""
        return min(self.sampling.max_tokens or default, self.context_length - len(self.tokens))

    def started(self, cached: int) -> Started:
        """The event of an answer that begins, with ``cached`` tokens from the cache."""
        images = tuple(image.reported for image in self.images)
        length = self.context_length
        return Started(len(self.tokens), cached, images, length, self.output_format)

    def position(self, token: int) -> int:
        """The position of a token, after images that take fewer positions than tokens."""
        passed = (one.size for one in self.images if one.end <= token)
        return token - sum(size.tokens - size.positions for size in passed)

    def cut_before_image(self, length: int) -> int:
        """The longest prefix of at most ``length`` tokens that ends inside no image."""
        cut = (one.start for one in self.images if one.start < length < one.end)
        return next(cut, length)


def prepare_prompt(
    tokens: Sequence[int],
    prompt: Prompt,
    context_length: int,
    images: tuple[PlacedImage, ...] = (),
    answer: AnswerForm = NO_FORM,
) -> PreparedPrompt:
    """Check that the prompt leaves room for an answer; raises ContextOverflow."""
    length = prompt.context_of(context_length)
    require_room(len(tokens), max(1, prompt.answer_room), length)
    if tokens[-1] < 0:  # the answer begins after a token of the vocabulary
        raise UnsupportedInput("The model's chat template puts nothing after a picture.")
    return PreparedPrompt(
        array("i", tokens),
        prompt.owner,
        prompt.sampling,
        images,
        None if prompt.keep_special else answer.thinking,
        prompt.thinking,
        prompt.keep_special,
        prompt.logprobs,
        answer.output_format,
        answer.markers,
        length,
    )


def require_room(tokens: int, answer_room: int, context_length: int) -> None:
    """Raise ContextOverflow unless the context holds the prompt and the room for its answer.

    A quarter of the context is room enough for any answer.
    """
    needed = tokens + min(answer_room, context_length // 4)
    if needed > context_length:
        raise ContextOverflow(needed, context_length)


def place_images(
    parts: Iterable[list[int] | ImagePart], measure: Callable[[ImagePart], ImageSize]
) -> tuple[list[int], tuple[PlacedImage, ...]]:
    """Put tokens in the place of images; returns all tokens, and the images with their starts."""
    tokens: list[int] = []
    images: list[PlacedImage] = []
    for part in parts:
        if isinstance(part, ImagePart):
            images.append(PlacedImage(part, len(tokens), measure(part)))
            tokens += _image_tokens(part.sha256, images[-1].size)
        else:
            tokens += part
    return tokens, tuple(images)


def _image_tokens(sha256: str, size: ImageSize) -> list[int]:
    """Negative numbers that differ for every other image, and for the same one at another size."""
    name = f"{sha256} {size.width} {size.height}".encode()
    digest = np.frombuffer(hashlib.shake_128(name).digest(4 * size.tokens), np.int32)
    tokens: list[int] = (digest | np.int32(-(2**31))).tolist()
    return tokens
