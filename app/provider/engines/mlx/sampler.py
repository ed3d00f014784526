"""Sampling options → functions over MLX arrays, so that drawing stays on the device.

The order of the filters and their meaning are those of llama.cpp: penalties, top-k, top-p,
min-p, temperature.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from app.provider.generation.constraints.guide import AnswerGuide
from app.provider.types import Sampling

Draw = Callable[[mx.array], mx.array]
"""Log-probabilities [1, vocabulary] → a token [1]."""


def make_sampler(sampling: Sampling) -> Draw | None:
    """The sampler of a request; None for greedy, which a batch computes in one operation."""
    return TokenSampler(sampling) if sampling.temperature > 0 else None


def make_logits_processors(sampling: Sampling) -> list[Penalties]:
    """The penalties of a request, which change its logits before a token is drawn."""
    neutral = (sampling.repeat_penalty, sampling.presence_penalty, sampling.frequency_penalty)
    return [] if neutral == (1.0, 0.0, 0.0) else [Penalties(sampling)]


class TokenSampler:
    """Draws tokens with random keys of its own, so that other requests change nothing."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        seed = secrets.randbits(32) if sampling.seed is None else sampling.seed % 2**32
        self._key = mx.random.key(seed)

    def __call__(self, logprobs: mx.array) -> mx.array:
        """Draw a token [1] from log-probabilities [1, vocabulary]."""
        tokens, values = self._candidates(logprobs[0])
        kept = self._kept(values)
        values = mx.where(kept, values, -math.inf) / self._sampling.temperature
        self._key, key = mx.random.split(self._key)
        choice = mx.random.categorical(values[None], key=key)
        return choice if tokens is None else tokens[choice]

    def _candidates(self, values: mx.array) -> tuple[mx.array | None, mx.array]:
        """The tokens that the filters need, likeliest first; None: all, in their own order."""
        top_k, size = self._sampling.top_k, values.shape[-1]
        if 0 < top_k < size:
            tokens = mx.argpartition(-values, top_k - 1)[:top_k]
            tokens = tokens[mx.argsort(-values[tokens])]
        elif self._sampling.top_p < 1.0:
            tokens = mx.argsort(-values)
        else:
            return None, values
        return tokens, values[tokens]

    def _kept(self, values: mx.array) -> mx.array:
        """Which candidates remain; always the likeliest one."""
        best = values.max()
        kept = values >= best
        inside = mx.ones_like(kept)
        if self._sampling.top_p < 1.0:
            probabilities = mx.softmax(values)
            inside = mx.cumsum(probabilities) - probabilities < self._sampling.top_p
        if self._sampling.min_p > 0.0:
            inside = inside & (values >= best + math.log(self._sampling.min_p))
        return kept | inside


class RawLogits:
    """Keeps a request's logits as the model gave them; called once for each drawn token.

    mlx-lm computes one token ahead, so the logits of the token that it returns are the older ones.
    """

    def __init__(self) -> None:
        self._rows: deque[mx.array] = deque(maxlen=2)

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """``logits`` are [1, vocabulary], and stay as they are."""
        self._rows.append(logits)
        return logits

    def of_returned(self) -> NDArray[np.float32]:
        """The logits [vocabulary] of the token that was returned last."""
        return np.array(self._rows[0][0].astype(mx.float32))


class GuidedLogits:
    """Lets a guide change the logits of an answer; called once for each drawn token.

    mlx-lm draws a token before the last one is returned, so the guide has read each token when it
    is returned: ``take`` gives the tokens that are forced after that.
    """

    def __init__(self, guide: AnswerGuide) -> None:
        self._guide = guide
        self._forced: deque[list[int]] = deque()
        self._begun = False

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """``tokens`` [n] end with the newest one, ``logits`` are [1, vocabulary]."""
        if self._begun:
            self._forced.append(self._guide.accept(int(np.array(tokens[-1:])[0])))
        self._begun = True
        row = np.array(logits[0].astype(mx.float32))
        if not np.isnan(row[0]):
            self._guide.restrict(row)
        return mx.array(row)[None].astype(logits.dtype)

    def take(self) -> list[int]:
        """The tokens that are forced after the returned one."""
        return self._forced.popleft()

    def resume(self) -> None:
        """The row is put into the batch again, behind forced tokens: the guide has read these."""
        self._begun = False


class Penalties:
    """Makes the tokens of the answer so far less likely; called once for each drawn token."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._counts: mx.array | None = None
        self._resumed = False

    def resume(self) -> None:
        """The next newest token is a forced one, which does not count."""
        self._resumed = True

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """``tokens`` [n] end with the newest one, ``logits`` are [1, vocabulary]."""
        if self._counts is None:
            self._counts = mx.zeros(logits.shape[-1])  # the newest token ends the prompt
        elif self._resumed:
            self._resumed = False
        else:
            self._counts = self._counts.at[tokens[-1]].add(1.0)
        used = self._counts > 0
        repeat = self._sampling.repeat_penalty
        logits = mx.where(used, mx.where(logits > 0, logits / repeat, logits * repeat), logits)
        return (
            logits
            - self._counts * self._sampling.frequency_penalty
            - used * self._sampling.presence_penalty
        )
