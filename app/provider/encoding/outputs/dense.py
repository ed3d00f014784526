"""Layers after the pooling: the module ``Dense`` of sentence-transformers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from app.provider.encoding.folders.settings import Activation, DenseSettings
from app.provider.encoding.outputs.tensor_data import read_tensor
from app.provider.encoding.outputs.vectors import Vectors, sigmoid
from app.provider.errors import ModelNotLoadable
from app.provider.headers.safetensors import IncompleteFileError


class Dense:
    """One layer with its weights; raises ModelNotLoadable for files that do not fit."""

    def __init__(self, settings: DenseSettings) -> None:
        self._settings = settings
        shape = settings.outputs, settings.inputs
        self._weight = _tensor(settings, "linear.weight", shape)
        bias = settings.bias
        self._bias = _tensor(settings, "linear.bias", shape[:1]) if bias else None
        projects = settings.residual and settings.inputs != settings.outputs
        self._residual = _tensor(settings, "residual.weight", shape) if projects else None

    def __call__(self, vectors: Vectors) -> Vectors:
        """The layer's output [texts, outputs]."""
        product = vectors @ self._weight.T
        if self._bias is not None:
            product += self._bias
        result = _FUNCTIONS[self._settings.activation](product)
        if self._settings.residual:
            result = result + (vectors if self._residual is None else vectors @ self._residual.T)
        return result


def _tensor(settings: DenseSettings, name: str, shape: tuple[int, ...]) -> Vectors:
    file = f"{settings.weights.parent.name}/{settings.weights.name}"
    try:
        found = read_tensor(settings.weights, name, math.prod(shape))
    except (OSError, IncompleteFileError) as error:
        raise ModelNotLoadable(f"{file} cannot be read: {error}") from error
    if found is None or found[0] != shape:
        raise ModelNotLoadable(f"{file} has no {name} of the size that its config.json states.")
    return np.ascontiguousarray(found[1].reshape(shape))


def _gelu(values: Vectors) -> Vectors:
    error_function = np.frompyfunc(math.erf, 1, 1)
    share = error_function(values / math.sqrt(2)).astype(np.float32)
    return np.asarray(values * 0.5 * (1 + share), dtype=np.float32)


def _sigmoid(values: Vectors) -> Vectors:
    return sigmoid(values).astype(np.float32)


_FUNCTIONS: dict[Activation, Callable[[Vectors], Vectors]] = {
    "identity": lambda values: values,
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, np.float32(0)),
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "silu": lambda values: values * _sigmoid(values),
}
