"""What batching engines share of a request: its tokens, and the answer as it is written.

Nothing here knows how tokens are computed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from app.provider.errors import ContextOverflow
from app.provider.pace import Pace
from app.provider.text import TextAssembler
from app.provider.types import Delta, End, Event, FinishReason, Sampling, Usage

WORTH_WAITING = 64
"""Tokens. A prompt waits for another one that is just computing that much of the same prefix."""


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """A tokenised prompt. ``tokens`` are 32-bit integers."""

    tokens: array[int]
    owner: str
    sampling: Sampling

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return len(self.tokens)

    def longest_answer(self, default: int, context_length: int) -> int:
        """Tokens the answer may have: what was asked for or else ``default``, where it fits."""
        return min(self.sampling.max_tokens or default, context_length - len(self.tokens))


def prepared(
    tokens: Sequence[int], owner: str, sampling: Sampling, context_length: int
) -> PreparedPrompt:
    """Check that the prompt leaves room for an answer; raises ContextOverflow."""
    if len(tokens) >= context_length:
        raise ContextOverflow(len(tokens) + 1, context_length)
    return PreparedPrompt(array("i", tokens), owner, sampling)


class Writing:
    """An answer being written: whole characters, stop strings, its limit and its usage."""

    def __init__(self, prompt: PreparedPrompt, limit: int, cached: int) -> None:
        self._prompt_tokens = len(prompt.tokens)
        self._text = TextAssembler(prompt.sampling.stop)
        self._limit = limit
        self._cached = cached
        self._written = 0

    def push(self, piece: bytes | None) -> list[Event]:
        """Add a token's bytes (None: the model ends here); the last event may be the End."""
        text, reason = self._add(piece)
        events: list[Event] = [Delta(text)] if text else []
        if reason:
            events.append(End(reason, Usage(self._prompt_tokens, self._written, self._cached)))
        return events

    def _add(self, piece: bytes | None) -> tuple[str, FinishReason | None]:
        if piece is None:
            return self._text.flush(), "stop"
        self._written += 1
        text = self._text.push(piece)
        if self._text.stopped:
            return text, "stop"
        if self._written >= self._limit:
            return text + self._text.flush(), "length"
        return text, None


class Reading(Protocol):
    """A prompt of which a part is not computed yet."""

    @property
    def unread(self) -> int:
        """Tokens still to compute."""

    @property
    def to_read(self) -> int:
        """Tokens that were to compute when it began."""


R = TypeVar("R", bound=Reading)


def share_out(reading: Sequence[R], pace: Pace, running: int) -> list[tuple[R, int]]:
    """Sizes of the pieces to read in this step, beside ``running`` answers.

    Half goes to the oldest prompt, the rest to the shortest ones.
    """
    if not reading:
        return []
    tokens = pace.prompt_tokens(running, max(one.to_read for one in reading))
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
