"""Makes one vector of the vectors of a text's tokens, as sentence-transformers does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.folders.settings import PoolingMode, PoolingRule
from app.provider.encoding.outputs.vectors import Vectors


def pool(
    hidden: Vectors,
    mask: NDArray[Any],
    rule: PoolingRule,
    prompt_tokens: Sequence[int] = (),
) -> Vectors:
    """Pool ``hidden`` [texts, tokens, width] over the tokens where ``mask`` is 1.

    The padding may be on either side. ``prompt_tokens`` of each text are left out where the rule
    says so.
    """
    present = np.asarray(mask, dtype=bool)
    counted = present
    if not rule.include_prompt and any(prompt_tokens):
        counted = present & (_positions(present) > np.asarray(prompt_tokens)[:, None])
    return np.concatenate(
        [_pooled(hidden, present, counted, mode) for mode in rule.modes], axis=1
    ).astype(np.float32, copy=False)


def _positions(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of each token in its text, from 1 on."""
    return np.cumsum(present, axis=1)


def _pooled(
    hidden: Vectors, present: NDArray[np.bool_], counted: NDArray[np.bool_], mode: PoolingMode
) -> NDArray[Any]:
    if mode == "cls":
        return _at(hidden, counted.argmax(axis=1))
    if mode == "lasttoken":
        last = counted.shape[1] - 1 - counted[:, ::-1].argmax(axis=1)
        return _at(hidden, last)
    if mode == "max":
        highest: NDArray[Any] = np.where(counted[:, :, None], hidden, -np.inf).max(axis=1)
        return highest
    return _mean(hidden, _weights(present, counted, mode), mode)


def _at(hidden: Vectors, places: NDArray[np.int64]) -> Vectors:
    """The vector of one token of each text."""
    found: Vectors = hidden[np.arange(len(hidden)), places]
    return found


def _weights(present: NDArray[np.bool_], counted: NDArray[np.bool_], mode: PoolingMode) -> Vectors:
    """What each token counts."""
    if mode == "weightedmean":
        return (counted * _positions(present)).astype(np.float32)
    return counted.astype(np.float32)


def _mean(hidden: Vectors, weights: Vectors, mode: PoolingMode) -> Vectors:
    # A product of matrices sums over the tokens without a copy of ``hidden``.
    total: Vectors = np.matmul(weights[:, None, :], hidden)[:, 0]
    divisor = np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-9))
    mean: Vectors = total / (np.sqrt(divisor) if mode == "mean_sqrt_len_tokens" else divisor)
    return mean
