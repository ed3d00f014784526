"""How many prompt tokens a step may compute, so that running answers do not stall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

BATCH_TOKENS = 512
"""Most tokens of one step; a longer prompt is computed in several."""

LONGEST_GAP = 6.0
"""A step with a chunk of a long prompt may take that many times a step without."""

FRAME_SECONDS = 1 / 30
"""Between two messages of running answers: each costs the API process half a millisecond, on a core
that the engine computes on. Before a step with a new prompt everything has been sent, so that step
may take what the frame has left in addition."""

SHORT_PROMPT = 256
"""Tokens. A prompt no longer than this ends so soon that it may cause a longer gap."""

SHORT_GAP = 0.25
"""Seconds that short prompts may add to a step."""

LONGEST_STEP = 1.0
"""Seconds a step may take when nobody is waiting for tokens; bounds cancel and admission."""

_FIRST_PIECE = 32
_SMALLEST_PIECE = 8
_WEIGHT = 0.3  # of a new measurement


class PrefillBudget:
    """Measures what a token costs on this machine with this model, and limits prefill by it."""

    def __init__(self) -> None:
        self._decode_seconds: float | None = None  # a step with running answers only
        self._alone_seconds: float | None = None  # what a prompt token adds to one without answers
        self._beside_seconds: float | None = None  # or beside running ones: dearer, in small

    def prompt_tokens(self, running: int, longest: int) -> int:
        """Prompt tokens to compute in the next step, beside ``running`` answers.

        ``longest`` is the largest ``prefill_tokens`` of the prompts.
        """
        seconds = self._beside_seconds if running else self._alone_seconds
        if seconds is None:
            return _FIRST_PIECE if not running else _FIRST_PIECE // 2
        tokens = int(self._seconds_for_prompts(running, longest) / seconds)
        return max(_SMALLEST_PIECE, min(tokens, BATCH_TOKENS - running))

    def spare_seconds(self, running: int) -> float:
        """Seconds that other work, such as encoding images, may add to the next step."""
        return self._seconds_for_prompts(running, BATCH_TOKENS)

    def _seconds_for_prompts(self, running: int, longest: int) -> float:
        """Seconds that the prompts may add to the step."""
        if not running:
            return LONGEST_STEP - min(self._decode_seconds or 0.0, LONGEST_STEP / 2)
        least = SHORT_GAP if longest <= SHORT_PROMPT else 0.0
        decode = self._decode_seconds or 0.0
        return max(least, (LONGEST_GAP - 1.0) * decode + max(0.0, FRAME_SECONDS - decode))

    def record(self, seconds: float, running: int, prompt_tokens: int) -> None:
        """Learn from a step that took ``seconds``."""
        if prompt_tokens == 0:
            self._decode_seconds = _blend(self._decode_seconds, seconds)
        elif prompt_tokens >= _SMALLEST_PIECE:
            each = max(seconds - (self._decode_seconds or 0.0), seconds / 10) / prompt_tokens
            if running:
                self._beside_seconds = _blend(self._beside_seconds, each)
            else:
                self._alone_seconds = _blend(self._alone_seconds, each)


def _blend(old: float | None, new: float) -> float:
    return new if old is None else old + _WEIGHT * (new - old)


class PrefillState(Protocol):
    """A request whose prompt is not fully computed."""

    @property
    def prefill_left(self) -> int:
        """Tokens still to compute."""

    @property
    def prefill_tokens(self) -> int:
        """Tokens that were not in the cache when it began."""


Prompt = TypeVar("Prompt", bound=PrefillState)


def split_prefill(
    prompts: Sequence[Prompt], budget: PrefillBudget, running: int, pending: int
) -> list[tuple[Prompt, int]]:
    """Split the budget of a step over prompts: pairs of a prompt and its number of tokens.

    Half goes to the oldest prompt, the rest to the shortest ones. ``pending`` tokens of answers and
    last ones of prompts may be in the same batch.
    """
    if not prompts:
        return []
    tokens = budget.prompt_tokens(running, max(one.prefill_tokens for one in prompts))
    tokens = min(tokens, max(1, BATCH_TOKENS - pending))
    oldest, *others = prompts
    pieces = [(oldest, min(oldest.prefill_left, tokens // 2 if others else tokens))]
    for one in sorted(others, key=lambda other: other.prefill_left):
        tokens -= pieces[-1][1]
        if tokens > 0:
            pieces.append((one, min(one.prefill_left, tokens)))
    return pieces
