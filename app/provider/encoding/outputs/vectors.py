"""What clients get of the numbers that a model computed: vectors and scores, as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.provider.encoding.job_queue import VectorOptions

Vectors = NDArray[np.float32]

_SHORTEST = 1e-12
"""A vector that is shorter keeps its direction, but does not get the length 1."""


def vectors_as_bytes(vectors: Vectors, options: VectorOptions, *, layer_norm: bool) -> list[bytes]:
    """Cut the vectors [items, dimensions], then give them the length 1: float32 numbers."""
    if options.dimensions is not None and options.dimensions < vectors.shape[1]:
        kept = normalize_layer(vectors) if layer_norm else vectors
        vectors = kept[:, : options.dimensions]
    if options.normalize:
        vectors = normalize(vectors)
    return _rows(vectors.astype("<f4", copy=False))


def scores_as_bytes(logits: Vectors, options: VectorOptions) -> list[bytes]:
    """The scores of logits [items, 1]: one float64 number each, so that high ones differ."""
    scores = logits.astype(np.float64) if options.raw_scores else sigmoid(logits)
    return _rows(scores.reshape(len(logits), -1).astype("<f8", copy=False))


def sigmoid(logits: Vectors) -> NDArray[np.float64]:
    """Numbers from 0 to 1."""
    with np.errstate(over="ignore"):  # what overflows has the score 0
        found: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return found


def normalize(vectors: Vectors) -> Vectors:
    """Give each vector the length 1."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    scaled: Vectors = vectors / np.maximum(lengths, _SHORTEST)[:, None].astype(np.float32)
    return scaled


def normalize_layer(vectors: Vectors) -> Vectors:
    """Layer normalisation without weights, as PyTorch does it."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    scaled: Vectors = centred / np.sqrt(centred.var(axis=1, keepdims=True) + 1e-5)
    return scaled


def _rows(matrix: NDArray[Any]) -> list[bytes]:
    whole = matrix.tobytes()
    size = len(whole) // len(matrix)
    return [whole[start : start + size] for start in range(0, len(whole), size)]
