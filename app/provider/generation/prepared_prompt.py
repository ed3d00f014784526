"""What batching engines share of a request: its tokens, and the answer as it is written.

Nothing here knows how tokens are computed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.provider.errors import ContextOverflow
from app.provider.generation.thinking import NO_THINKING, ThinkingStart
from app.provider.types import (
    ImagePart,
    Prompt,
    Sampling,
    SeenImage,
)


@dataclass(frozen=True, slots=True)
class ImageSize:
    """What a picture becomes: pixels that are seen, tokens, and how far they move the position.

    With positions in two dimensions (M-RoPE) a picture moves it by less than its tokens.
    """

    width: int
    height: int
    tokens: int
    positions: int


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """A picture in a prompt: ``size.tokens`` tokens from ``start`` on stand for it."""

    part: ImagePart
    start: int
    size: ImageSize

    @property
    def end(self) -> int:
        """The token after it."""
        return self.start + self.size.tokens

    @property
    def seen(self) -> SeenImage:
        """What the client is told."""
        size = self.size
        return SeenImage(self.part.sha256, size.width, size.height, size.tokens)


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """A tokenised prompt. ``tokens`` are 32-bit integers, those of pictures negative.

    The negative ones are made of the picture's digest and size: equal tokens are equal pictures.
    """

    tokens: array[int]
    owner: str
    sampling: Sampling
    images: tuple[PlacedImage, ...] = ()
    thinking: ThinkingStart = NO_THINKING

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return len(self.tokens)

    def max_answer_tokens(self, default: int, context_length: int) -> int:
        """Tokens the answer may have: what was asked for or else ``default``, where it fits."""
        return min(self.sampling.max_tokens or default, context_length - len(self.tokens))

    @property
    def seen(self) -> tuple[SeenImage, ...]:
        """Its pictures, as the client is told of them."""
        return tuple(image.seen for image in self.images)

    def position(self, token: int) -> int:
        """The position of a token, which pictures before it move by less than their tokens."""
        passed = (one.size for one in self.images if one.end <= token)
        return token - sum(size.tokens - size.positions for size in passed)

    def cut_before_image(self, length: int) -> int:
        """The longest prefix of at most ``length`` tokens that ends in no picture."""
        cut = (one.start for one in self.images if one.start < length < one.end)
        return next(cut, length)


def prepare_prompt(
    tokens: Sequence[int],
    prompt: Prompt,
    context_length: int,
    images: tuple[PlacedImage, ...] = (),
    thinking: ThinkingStart = NO_THINKING,
) -> PreparedPrompt:
    """Check that the prompt leaves room for an answer; raises ContextOverflow."""
    if len(tokens) >= context_length:
        raise ContextOverflow(len(tokens) + 1, context_length)
    return PreparedPrompt(array("i", tokens), prompt.owner, prompt.sampling, images, thinking)


def place_images(
    parts: Iterable[list[int] | ImagePart], measure: Callable[[ImagePart], ImageSize]
) -> tuple[list[int], tuple[PlacedImage, ...]]:
    """The tokens of a prompt with those that stand for its pictures, and the pictures' places."""
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
    """Negative numbers that no other picture has, nor the same one at another size."""
    name = f"{sha256} {size.width} {size.height}".encode()
    digest = np.frombuffer(hashlib.shake_128(name).digest(4 * size.tokens), np.int32)
    tokens: list[int] = (digest | np.int32(-(2**31))).tolist()
    return tokens
