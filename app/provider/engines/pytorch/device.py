"""Where a model is computed and in which type, and how it is divided between a GPU and the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""safetensors' names of types that can be computed in."""


def device_for(gpu_layers: int) -> torch.device:
    """The GPU where layers may go to one and there is one that PyTorch knows."""
    if gpu_layers and torch.cuda.is_available():
        return torch.device("cuda")
    if gpu_layers and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def type_for(stored: str, device: torch.device, wanted: str = "auto") -> torch.dtype:
    """The type to compute in: ``wanted``, or else that of the files.

    A CPU computes float16 many times slower than float32, and bfloat16 about as fast.
    """
    if wanted != "auto":
        found: torch.dtype = getattr(torch, wanted)
        return found
    kind = TYPES.get(stored, torch.float32)
    return torch.float32 if kind == torch.float16 and device.type == "cpu" else kind


def put(model: nn.Module, layers: Sequence[nn.Module], device: torch.device, count: int) -> None:
    """Move the model to the device, or only its first ``count`` layers (-1: all of it).

    What stands before and after the layers goes with the last of them, as in ``memory.place``.
    """
    if device.type == "cpu":
        return
    if not 0 <= count < len(layers):
        model.to(device)
        return
    for layer in layers[:count]:
        layer.to(device)
    follow(layers, [device] * count + [torch.device("cpu")] * (len(layers) - count))


def follow(layers: Sequence[nn.Module], devices: Sequence[torch.device]) -> None:
    """Let what each layer is given move to the layer's own device first."""
    for layer, device in zip(layers, devices, strict=True):
        layer.register_forward_pre_hook(_Mover(device), with_kwargs=True)


class _Mover:
    """A hook that moves tensors, also those inside tuples and dictionaries."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self, _layer: Any, given: Any, named: Any) -> tuple[Any, Any]:
        return self._moved(given), self._moved(named)

    def _moved(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(self._device)
        if type(value) is tuple:
            return tuple(self._moved(one) for one in value)
        if type(value) is dict:
            return {name: self._moved(one) for name, one in value.items()}
        return value
