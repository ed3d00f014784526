"""Draws tokens from logits in numpy, for engines whose library samples differently.

The order is that of the GGUF engine: penalties over the answer so far, top_k, top_p, min_p,
temperature, draw. No vocabulary is sorted as a whole.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from app.provider.generation.answer_tokens import Logprobs
from app.provider.generation.output_stream import NO_TOKEN
from app.provider.types import Sampling

Logits = npt.NDArray[Any]
"""Of a floating type: ``[vocabulary]``, or ``[rows, vocabulary]``."""
Tokens = npt.NDArray[np.intp]
Weights = npt.NDArray[np.float32]

BLOCK = 64
"""Logits; the maximum of a block is had at the speed of memory."""


class Sampler:
    """The sampler of one request. ``greedy``: it always takes the likeliest token."""

    def __init__(self, sampling: Sampling) -> None:
        self._options = sampling
        self._random = random.Random(sampling.seed)  # noqa: S311 - a draw is no secret
        self._counts: dict[int, int] = {}
        self._penalises = (
            sampling.repeat_penalty != 1.0
            or sampling.presence_penalty != 0.0
            or sampling.frequency_penalty != 0.0
        )
        self.greedy = sampling.temperature <= 0 and not self._penalises

    def draw(self, logits: Logits) -> int:
        """Draw the next token from the logits of one row, which stay as they are.

        NO_TOKEN where these are NaN: all are, when what they were computed from was.
        """
        if np.isnan(logits[0]):
            return NO_TOKEN
        if self._penalises and self._counts:
            logits = self._penalised(logits)
        token = self._drawn(logits) if self._options.temperature > 0 else int(logits.argmax())
        if self._penalises:
            self._counts[token] = self._counts.get(token, 0) + 1
        return token

    def _penalised(self, logits: Logits) -> Logits:
        """Logits with those tokens lowered that the answer has already."""
        count = len(self._counts)
        tokens = np.fromiter(self._counts.keys(), np.intp, count)
        times = np.fromiter(self._counts.values(), np.float64, count)
        values, repeat = logits[tokens].astype(np.float64), self._options.repeat_penalty
        values = np.where(values > 0, values / repeat, values * repeat)
        values -= times * self._options.frequency_penalty + self._options.presence_penalty
        changed = logits.astype(np.float32)
        changed[tokens] = values
        return changed

    def _drawn(self, logits: Logits) -> int:
        tokens = _top_k(logits, self._options.top_k)
        values = (logits if tokens is None else logits[tokens]).astype(np.float32)
        values -= values.max()
        kept = self._kept(np.exp(values))
        heated = np.exp(values[kept] / np.float32(self._options.temperature))
        edges = heated.cumsum(dtype=np.float64)
        at = edges.searchsorted(self._random.random() * edges[-1], side="right")
        place = kept[min(int(at), len(edges) - 1)]
        return int(place if tokens is None else tokens[place])

    def _kept(self, weights: Weights) -> Tokens:
        """Places of the weights that top_p and min_p leave; the largest weight is 1.

        Both leave the largest ones, so it is the same which of them comes first.
        """
        top_p = self._options.top_p
        if top_p >= 1.0:
            return np.flatnonzero(weights >= self._options.min_p)
        total = float(weights.sum(dtype=np.float64))
        # All weights below this one together are not worth 1 - top_p, so none of them is taken.
        least = total * (1.0 - top_p) / len(weights)
        places = np.flatnonzero(weights >= max(least, self._options.min_p))
        places = places[np.argsort(-weights[places], kind="stable")]
        worth = weights[places].cumsum(dtype=np.float64)
        return places[: int(worth.searchsorted(top_p * total)) + 1]


def _top_k(logits: Logits, k: int) -> Tokens | None:
    """Tokens of the ``k`` largest logits, in no particular order; None means all of them."""
    if not 0 < k < len(logits):
        return None
    if k * BLOCK < len(logits):
        tokens = _promising(logits, k)
        return tokens[np.argpartition(logits[tokens], len(tokens) - k)[-k:]]
    return np.argpartition(logits, len(logits) - k)[-k:]


def _promising(logits: Logits, k: int) -> Tokens:
    """Tokens no smaller than the ``k``-th largest of the maxima of blocks: ``k`` or a few more."""
    whole = len(logits) // BLOCK * BLOCK
    maxima = logits[:whole].reshape(-1, BLOCK).max(axis=1)
    least = np.partition(maxima, len(maxima) - k)[-k]
    return np.flatnonzero(logits >= least)


def logprobs(logits: Logits, token: int, count: int) -> Logprobs:
    """The log-probability of ``token`` by the logits of one row, and of the ``count`` likeliest."""
    values = logits.astype(np.float32)
    values -= values.max()
    total = np.log(np.exp(values).sum(dtype=np.float64))
    if not count:
        return Logprobs(float(values[token] - total))
    tokens = _top_k(values, count)
    tokens = np.arange(len(values)) if tokens is None else np.sort(tokens)
    best = tokens[np.argsort(-values[tokens], kind="stable")]  # of equal ones the first is first
    possible = best[np.isfinite(values[best])]
    top = zip(possible.tolist(), (values[possible] - total).tolist(), strict=True)
    return Logprobs(float(values[token] - total), tuple(top))


def draw_all(logits: Logits, samplers: Sequence[Sampler]) -> list[int]:
    """Draw a token for every row of ``logits``; all greedy rows in one call."""
    if not any(sampler.greedy for sampler in samplers):
        return [sampler.draw(row) for sampler, row in zip(samplers, logits, strict=True)]
    likeliest = np.where(np.isnan(logits[:, 0]), NO_TOKEN, logits.argmax(axis=-1))
    tokens: list[int] = likeliest.tolist()
    for index, sampler in enumerate(samplers):
        if not sampler.greedy:
            tokens[index] = sampler.draw(logits[index])
    return tokens
