"""Estimates the memory that a model takes on this machine with the settings of this server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits, fills_gpu, format_of
from app.provider.memory import GpuPolicy, Need, Placement, place
from app.provider.pool import hardware
from app.provider.pool.eviction import Budget, MemoryClaim

_SHARE = 0.8
"""Share of the machine's RAM that models may take by default."""

_KV_SHARE = 1 / 8
"""Share of that budget for the keys and values of a model, if the settings name no number."""

MOST_GPU_SHARE = 0.92
"""Of the GPU memory that an engine may fill: a driver and other programs need some."""

LEAST_KV_BYTES, MOST_KV_BYTES = 2**29, 2**32
"""Bounds of that share. A model gets the least where more would take it from the GPU or the RAM."""


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """Bytes a model needs and where they go, its engine's limits, and the budget to fit into."""

    need: Need
    placement: Placement
    limits: EngineLimits
    budget: Budget

    @property
    def ram(self) -> int:
        """Bytes of RAM."""
        return self.placement.ram_bytes

    @property
    def gpu(self) -> int:
        """Bytes of GPU memory."""
        return self.placement.gpu_bytes


class Sizing:
    """Estimates models against the machine's memory.

    ``ram_budget`` 0 means a share of the RAM, ``limits.kv_cache_bytes`` 0 one of the budget, or of
    the GPU's memory where that is less. ``gpu`` None keeps all models in RAM; its
    ``available`` 0 means the GPU memory that the driver reports.
    """

    def __init__(
        self, limits: EngineLimits, per_kind: int, ram_budget: int, gpu: GpuPolicy | None
    ) -> None:
        self._given = limits
        self._per_kind = per_kind
        self._ram_budget = ram_budget
        self._gpu = gpu

    @cached_property
    def limits(self) -> EngineLimits:
        """The limits that each engine is started with, before its layers are placed."""
        return replace(self._given, threads=self._given.threads or hardware.physical_cores())

    @property
    def threads(self) -> int:
        """Threads of all engines together."""
        return self.limits.threads

    @cached_property
    def _ram(self) -> int:
        return self._ram_budget or int(_SHARE * hardware.ram())

    def estimate(
        self, card: ModelCard, claims: Sequence[MemoryClaim], limits: EngineLimits | None = None
    ) -> SizeEstimate:
        """Estimate ``card`` beside ``claims``. May ask the GPU's driver, which blocks shortly."""
        policy, gpu_budget = self._gpu_room(claims)
        limits, need = self._need(card, limits or self.limits, policy, gpu_budget)
        placement = place(need, policy)
        layers, kept = self._gpu_layers(placement), _offloaded(need, placement)
        budget = Budget(self._ram, gpu_budget, self._per_kind)
        limits = replace(limits, gpu_layers=layers, offload_bytes=kept)
        return SizeEstimate(need, placement, limits, budget)

    def _need(
        self, card: ModelCard, limits: EngineLimits, policy: GpuPolicy | None, gpu: int | None
    ) -> tuple[EngineLimits, Need]:
        """Predict the bytes; sets those for keys and values where the settings leave it open."""
        if not card.engine:
            return limits, Need(runtime=0, weights=0, kv=0)
        need = format_of(card.engine).need
        if limits.kv_cache_bytes:
            return limits, need(card, limits)
        if policy and fills_gpu(card.engine) and (filled := _filling(card, limits, policy)):
            return filled, need(card, filled)
        share = int(_KV_SHARE * min(self._ram, gpu or self._ram))
        more = replace(limits, kv_cache_bytes=min(max(share, LEAST_KV_BYTES), MOST_KV_BYTES))
        less = replace(limits, kv_cache_bytes=LEAST_KV_BYTES)
        most, least = need(card, more), need(card, less)
        layers = place(least, policy).gpu_layers
        fits = most.total <= self._ram and place(most, policy).gpu_layers == layers
        return (more, most) if fits else (less, least)

    def _gpu_room(self, claims: Sequence[MemoryClaim]) -> tuple[GpuPolicy | None, int | None]:
        """GPU memory for this model once idle ones are unloaded, and for all models together."""
        if self._gpu is None:
            return None, None
        total = self._gpu_total(self._gpu, sum(claim.gpu for claim in claims))
        in_use = sum(claim.gpu for claim in claims if not claim.idle)
        return replace(self._gpu, available=max(0, total - in_use)), total

    def _gpu_total(self, policy: GpuPolicy, held: int) -> int:
        """Bytes of GPU memory for all models together, which hold some of it already."""
        if policy.available and policy.share == 1:
            return policy.available
        memory = hardware.gpu_memory(policy.devices)
        if memory is None:
            return policy.available
        share = int(policy.share * memory.total)
        # A model that is still loading holds bytes that the driver still calls free.
        return min(policy.available or memory.free + held, share)

    def _gpu_layers(self, placement: Placement) -> int:
        """Layers in the engines' count: -1 means the whole model, embeddings and head included."""
        if self._gpu is None:
            return 0
        if not placement.layers:
            return self._gpu.layers
        whole = placement.gpu_layers == placement.layers
        return -1 if whole else placement.gpu_layers


def _filling(card: ModelCard, limits: EngineLimits, policy: GpuPolicy) -> EngineLimits | None:
    """Limits that take what is left of the GPUs for keys and values; None: nothing fits there."""
    least = replace(limits, kv_cache_bytes=LEAST_KV_BYTES)
    need = format_of(card.engine).need(card, least)
    placed = place(need, policy)
    if not placed.gpu_layers:
        return None
    memory = hardware.gpu_memory(policy.devices)
    share = min(MOST_GPU_SHARE, policy.share)
    if memory:
        share = min(share, policy.available / memory.total)
    room = int(share * memory.total) if memory else policy.available
    rest = room - placed.gpu_bytes if placed.gpu_layers == placed.layers else 0
    return replace(least, kv_cache_bytes=LEAST_KV_BYTES + max(0, rest), gpu_share=share)


def _offloaded(need: Need, placement: Placement) -> int:
    """Bytes of the weights that stay in RAM where a part of the layers is on the GPU."""
    if not placement.gpu_layers or placement.gpu_layers == placement.layers:
        return 0
    on_gpu = placement.gpu_bytes - need.compute
    return min(need.weights, need.weights + need.kv - on_gpu)
