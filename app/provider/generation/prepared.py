"""What batching engines share of a request: its tokens, and the answer as it is written.

Nothing here knows how tokens are computed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from app.provider.errors import ContextOverflow, ProviderError
from app.provider.generation.detokenizer import TextAssembler
from app.provider.generation.prefill_budget import PrefillBudget
from app.provider.generation.thinking import NO_THINKING, ThinkingStart
from app.provider.types import (
    Delta,
    End,
    Event,
    FinishReason,
    ImagePart,
    Prompt,
    Sampling,
    SeenImage,
    Usage,
)

NO_TOKEN = -1
"""What is drawn where the model has computed no numbers (NaN)."""

NO_NUMBERS = (
    "The model's arithmetic broke down on this prompt (NaN), so anything it said would be noise. "
    "Its file may be damaged, or its number type too small: float16 overflows where bfloat16 and "
    "float32 do not."
)

WORTH_WAITING = 64
"""Tokens. A prompt waits for another one that is just computing that much of the same prefix."""


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

    def longest_answer(self, default: int, context_length: int) -> int:
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

    def whole_images(self, length: int) -> int:
        """The longest prefix of at most ``length`` tokens that ends in no picture."""
        cut = (one.start for one in self.images if one.start < length < one.end)
        return next(cut, length)


def prepared(
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


def placed(
    parts: Iterable[list[int] | ImagePart], measure: Callable[[ImagePart], ImageSize]
) -> tuple[list[int], tuple[PlacedImage, ...]]:
    """The tokens of a prompt with those that stand for its pictures, and the pictures' places."""
    tokens: list[int] = []
    images: list[PlacedImage] = []
    for part in parts:
        if isinstance(part, ImagePart):
            images.append(PlacedImage(part, len(tokens), measure(part)))
            tokens += _stand_ins(part.sha256, images[-1].size)
        else:
            tokens += part
    return tokens, tuple(images)


def _stand_ins(sha256: str, size: ImageSize) -> list[int]:
    """Negative numbers that no other picture has, nor the same one at another size."""
    name = f"{sha256} {size.width} {size.height}".encode()
    digest = np.frombuffer(hashlib.shake_128(name).digest(4 * size.tokens), np.int32)
    stand_ins: list[int] = (digest | np.int32(-(2**31))).tolist()
    return stand_ins


class OutputStream:
    """An answer being written: whole characters, stop strings, its limit and its usage.

    One that ends within its thinking was cut off, whatever ended it: nothing of it is an answer.
    """

    def __init__(self, prompt: PreparedPrompt, limit: int, cached: int) -> None:
        self._prompt_tokens = len(prompt.tokens)
        self._text = TextAssembler(prompt.sampling.stop, prompt.thinking)
        self._limit = limit
        self._cached = cached
        self._written = 0

    def push_token(
        self, token: int, piece: Callable[[int], bytes | None]
    ) -> list[Event | ProviderError]:
        """Add a token that was drawn; the last of what it gives may be the End, or an error."""
        return [ProviderError(NO_NUMBERS)] if token == NO_TOKEN else [*self.push(piece(token))]

    def push(self, piece: bytes | None) -> list[Event]:
        """Add a token's bytes (None: the model ends here); the last event may be the End."""
        text, reason = self._add(piece)
        events: list[Event] = [Delta(text, self._text.retracted)] if text else []
        if reason:
            usage = Usage(self._prompt_tokens, self._written, self._cached)
            events.append(End(reason, usage, self._text.retracted))
        return events

    def _add(self, piece: bytes | None) -> tuple[str, FinishReason | None]:
        if piece is None:
            text = self._text.flush()
            return text, "length" if self._text.thinks and not self._text.stopped else "stop"
        self._written += 1
        text = self._text.push(piece)
        full = self._written >= self._limit
        if full and not self._text.stopped:
            text += self._text.flush()
        return text, "stop" if self._text.stopped else "length" if full else None


class Reading(Protocol):
    """A prompt of which a part is not computed yet."""

    @property
    def unread(self) -> int:
        """Tokens still to compute."""

    @property
    def to_read(self) -> int:
        """Tokens that were to compute when it began."""


R = TypeVar("R", bound=Reading)


def share_out(reading: Sequence[R], budget: PrefillBudget, running: int) -> list[tuple[R, int]]:
    """Sizes of the pieces to read in this step, beside ``running`` answers.

    Half goes to the oldest prompt, the rest to the shortest ones.
    """
    if not reading:
        return []
    tokens = budget.prompt_tokens(running, max(one.to_read for one in reading))
    oldest, *others = reading
    pieces = [(oldest, min(oldest.unread, tokens // 2 if others else tokens))]
    for one in sorted(others, key=lambda other: other.unread):
        tokens -= pieces[-1][1]
        if tokens > 0:
            pieces.append((one, min(one.unread, tokens)))
    return pieces


def is_being_read(prompt: PreparedPrompt, reading: Iterable[tuple[PreparedPrompt, int]]) -> bool:
    """Whether another prompt is just being computed that this one could share a prefix with soon.

    ``reading`` are prompts and how many of their tokens are computed. Owners never share.
    """
    for other, computed in reading:
        if other.owner != prompt.owner:
            continue
        if common_prefix(other.tokens, prompt.tokens) - computed >= WORTH_WAITING:
            return True
    return False


def common_prefix(one: array[int], other: array[int]) -> int:
    """Length of the longest common prefix, in tokens."""
    length = min(len(one), len(other))
    if length == 0:
        return 0
    different = np.frombuffer(one, np.int32, length) != np.frombuffer(other, np.int32, length)
    first = int(different.argmax())
    return first if different[first] else length
