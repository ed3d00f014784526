"""Counts what one model has done since the server started.

The counters belong to one event loop and need no lock. Nothing here knows Prometheus or HTTP.
"""

from __future__ import annotations

import math
import time
from asyncio import CancelledError
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Literal

from app.provider.errors import ContextOverflow, EngineBusy, InputTooLong, UnsupportedInput
from app.provider.types import AnyDelta, Encoded, End, Started, ToolCallDelta

Outcome = Literal["stop", "length", "cancelled", "refused", "failed"]
Error = type[BaseException] | None

REFUSALS = (ContextOverflow, EngineBusy, InputTooLong, UnsupportedInput)
"""Errors caused by the request or by too much load; all others are failures."""

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram of times to first token, in seconds."""

RECENT = 32
"""Answers that the averages of health cover."""


class Histogram:
    """Counts values by bucket; ``bounds`` are upper ends, and one bucket follows the last."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[float, int]]:
        """How many values were at most each bound; the last bound is infinity."""
        total, found = 0, []
        for bound, count in zip(self._bounds, self._counts, strict=True):
            total += count
            found.append((bound, total))
        return found


@dataclass(frozen=True, slots=True)
class MetricValues:
    """The metrics of one model at one moment.

    ``requests`` are counted by how they ended and by the name of their error's class, if any.
    ``first_token_buckets`` are those of ``Histogram.cumulative``. What may be None is an average of
    recent answers; all else are the counters of ``ModelMetrics``.
    """

    requests: Mapping[tuple[Outcome, str], int] = field(default_factory=dict)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    decode_seconds: float = 0.0
    first_token_buckets: tuple[tuple[float, int], ...] = ()
    first_token_seconds: float = 0.0
    loads: int = 0
    load_seconds: float = 0.0
    restarts: int = 0
    tokens_per_second: float | None = None
    time_to_first_token: float | None = None
    cache_hit_rate: float | None = None
    encoded_inputs: int = 0


class ModelMetrics:
    """Counters of one model. They only grow, and outlive its engine process.

    ``requests`` are counted by how they ended and by the class of their error, if any.
    ``prompt_tokens`` are also those of ``encoded_inputs``: texts, pairs and images. Of the
    ``uncounted_tokens`` among them nobody says whether they came from a cache.
    ``decode_seconds`` sums the time between first text and end over all answers. ``loads`` took
    ``load_seconds`` together. ``restarts`` are those after a crash or a hang.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[Outcome, Error]] = Counter()
        self.prompt_tokens = 0
        self.encoded_inputs = 0
        self.cached_tokens = 0
        self.uncounted_tokens = 0
        self.completion_tokens = 0
        self.decode_seconds = 0.0
        self.first_token_seconds = Histogram(BOUNDS)
        self.loads = 0
        self.load_seconds = 0.0
        self.restarts = 0
        self._recent_first: deque[float] = deque(maxlen=RECENT)
        self._recent_pace: deque[tuple[int, float]] = deque(maxlen=RECENT)

    def begin_request(self) -> RequestMetrics:
        """Begin to count one request."""
        return RequestMetrics(self)

    def loaded(self, seconds: float) -> None:
        """Count one loading of the model."""
        self.loads += 1
        self.load_seconds += seconds

    def started(self, prompt_tokens: int, cached_tokens: int) -> None:
        """Count the tokens of a prompt that the engine accepted."""
        self.prompt_tokens += prompt_tokens
        self.cached_tokens += cached_tokens

    def encoded(self, tokens: int) -> None:
        """Count an input that was encoded, and its tokens."""
        self.encoded_inputs += 1
        self.prompt_tokens += tokens

    def first_text(self, seconds: float) -> None:
        """Count the time that a request waited for its first text."""
        self.first_token_seconds.observe(seconds)
        self._recent_first.append(seconds)

    def ended(self, outcome: Outcome, error: Error, tokens: int, seconds: float) -> None:
        """Count the end of a request, its answer's tokens and the time since the first text."""
        self.requests[outcome, error] += 1
        self.completion_tokens += tokens
        self.decode_seconds += seconds
        if tokens > 1 and seconds > 0:
            # The time begins when the first token is there.
            self._recent_pace.append((tokens - 1, seconds))

    def values(self) -> MetricValues:
        """All metrics as they are now."""
        return MetricValues(
            requests={
                (outcome, error.__name__ if error else ""): count
                for (outcome, error), count in self.requests.items()
            },
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            decode_seconds=self.decode_seconds,
            first_token_buckets=tuple(self.first_token_seconds.cumulative()),
            first_token_seconds=self.first_token_seconds.sum,
            loads=self.loads,
            load_seconds=self.load_seconds,
            restarts=self.restarts,
            tokens_per_second=self.tokens_per_second,
            time_to_first_token=self.time_to_first_token,
            cache_hit_rate=self.cache_hit_rate,
            encoded_inputs=self.encoded_inputs,
        )

    @property
    def tokens_per_second(self) -> float | None:
        """Average speed of a recent answer; None while there are none."""
        seconds = sum(seconds for _, seconds in self._recent_pace)
        return sum(tokens for tokens, _ in self._recent_pace) / seconds if seconds else None

    @property
    def time_to_first_token(self) -> float | None:
        """Median of recent answers in seconds; None while there are none."""
        return median(self._recent_first) if self._recent_first else None

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of all prompt tokens that came from a cache; None while there are none."""
        counted = self.prompt_tokens - self.uncounted_tokens
        return self.cached_tokens / counted if counted > 0 else None


def _is_seen(delta: AnyDelta) -> bool:
    """Whether a client sees something of it; a delta without text only carries tokens."""
    return isinstance(delta, ToolCallDelta) or bool(delta.text)


class RequestMetrics:
    """Counts one request: takes its events as they arrive and, as a context manager, its end.

    An answer without an End counts as many tokens as pieces of text arrived: a lower bound.
    """

    __slots__ = ("_begun", "_end", "_ended_at", "_first_at", "_model", "_pieces", "_started")

    def __init__(self, metrics: ModelMetrics) -> None:
        self._model = metrics
        self._begun = time.monotonic()
        self._first_at = 0.0
        self._ended_at = 0.0
        self._pieces = 0
        self._started: Started | None = None
        self._end: End | None = None

    def note(self, outcome: object) -> None:
        """Take one event of the engine. It runs for every piece of text, so it does little."""
        if isinstance(outcome, AnyDelta) and _is_seen(outcome):
            if not self._pieces:
                self._first_at = time.monotonic()
                self._model.first_text(self._first_at - self._begun)
            self._pieces += 1
        elif isinstance(outcome, Encoded):
            self._started = None  # each input counts by itself
            self._model.encoded(outcome.tokens)
        elif isinstance(outcome, Started):
            self._started = outcome
            self._model.started(outcome.prompt_tokens, outcome.cached_tokens)
        elif isinstance(outcome, End):
            self._end, self._ended_at = outcome, time.monotonic()
            self._count_the_rest(outcome)

    def _count_the_rest(self, end: End) -> None:
        """Count tokens of the prompt that another server only tells of at the end."""
        started, usage = self._started, end.usage
        if started:
            prompt = usage.prompt_tokens - started.prompt_tokens
            cached = usage.cached_tokens - started.cached_tokens
            self._model.started(max(0, prompt), max(0, cached))
            self._model.uncounted_tokens += 0 if usage.cached_known else usage.prompt_tokens

    def __enter__(self) -> RequestMetrics:
        return self

    def __exit__(
        self, kind: Error, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome, reason = self._outcome(kind)
        tokens = self._end.usage.completion_tokens if self._end else self._pieces
        ended_at = self._ended_at or time.monotonic()
        seconds = ended_at - self._first_at if self._pieces else 0.0
        self._model.ended(outcome, reason, tokens, seconds)

    def _outcome(self, kind: Error) -> tuple[Outcome, Error]:
        if self._end:
            reason = self._end.reason
            return ("stop" if reason == "tool_calls" else reason), None
        if kind is None or issubclass(kind, GeneratorExit | CancelledError):
            return "cancelled", None
        return ("refused" if issubclass(kind, REFUSALS) else "failed"), kind
