"""The memory of a model in bytes, and its division between GPU and RAM. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a loaded model takes, by purpose.

    ``runtime`` is the process itself with its libraries, ``compute`` scratch memory of a step.
    ``prefix_cache`` fills only as conversations leave the ``kv`` memory; all else is taken when
    the model is loaded, except ``kv`` that grows with its conversations (``kv_grows``).
    ``layers`` is how many layers can go to a GPU one by one (0: none). ``kv_layout`` says in words
    how the ``kv`` memory is divided, where there is a choice.
    """

    runtime: int
    weights: int
    kv: int
    compute: int = 0
    prefix_cache: int = 0
    vision: int = 0
    kv_grows: bool = False
    layers: int = 0
    kv_layout: str = ""

    @property
    def total(self) -> int:
        """The most it will take."""
        parts = (self.runtime, self.weights, self.kv, self.compute, self.prefix_cache, self.vision)
        return sum(parts)

    @property
    def at_start(self) -> int:
        """Bytes that it takes before the first request."""
        return self.total - self.prefix_cache - (self.kv if self.kv_grows else 0)


@dataclass(frozen=True, slots=True)
class GpuPolicy:
    """The user's limits for the GPU.

    ``available`` bytes may be used, and at most ``share`` of all; models with more weight than
    ``threshold`` bytes (0: none) are split and put at most that much there; ``layers`` fixes the
    number (-1: as many as fit). Without ``split`` a model that does not fit as a whole stays in
    RAM. ``devices`` are the GPUs to use, as in CUDA_VISIBLE_DEVICES ("": all).
    """

    available: int = 0
    threshold: int = 0
    layers: int = -1
    share: float = 1.0
    split: bool = True
    devices: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """The layers of a model that go to the GPU, and the bytes on either side."""

    gpu_layers: int
    layers: int
    gpu_bytes: int
    ram_bytes: int


def place(need: Need, policy: GpuPolicy | None) -> Placement:
    """Divide a model between GPU and RAM; without a policy all of it stays in RAM.

    A layer on the GPU takes its share of the weights and of the keys and values there, and the
    first one the scratch memory. What comes before and after the layers follows the last of them.
    """
    if policy is None or not need.layers:
        return Placement(0, need.layers, 0, need.total)
    moving = need.weights + need.kv
    count = _layers_on_gpu(need, policy)
    on_gpu = moving * count // need.layers + (need.compute if count else 0)
    return Placement(count, need.layers, on_gpu, need.total - on_gpu)


def _layers_on_gpu(need: Need, policy: GpuPolicy) -> int:
    if policy.layers >= 0:
        return min(policy.layers, need.layers)
    allowed = policy.available
    if policy.split and 0 < policy.threshold < need.weights:
        allowed = min(allowed, policy.threshold)
    room = allowed - need.compute
    fitting = max(0, min(need.layers, room * need.layers // max(1, need.weights + need.kv)))
    return fitting if policy.split or fitting == need.layers else 0
