"""Which loaded models must be unloaded before another one can be loaded. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.provider.card import Kind
from app.provider.memory import Need, Placement


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """Predicted bytes of a loaded model, and measured bytes of its process (0: not measured)."""

    need: Need
    placement: Placement
    measured: int = 0

    @property
    def predicted(self) -> int:
        """Bytes of RAM that the model may take."""
        return self.placement.ram_bytes

    @property
    def held(self) -> int:
        """Bytes of RAM to count for the model: the larger of prediction and measurement."""
        return max(self.predicted, self.measured)


@dataclass(frozen=True, slots=True)
class MemoryClaim:
    """Bytes that a loaded or wanted model claims. Only an idle model can be unloaded."""

    id: str
    kind: Kind
    ram: int
    gpu: int
    idle: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes for all models together, and how many models of one kind may be loaded.

    ``gpu`` None sets no limit: placing the model already took the free GPU memory into account.
    """

    ram: int
    gpu: int | None = None
    per_kind: int = 2


@dataclass(frozen=True, slots=True)
class AdmissionDecision:
    """Whether a model can be loaded now.

    The models ``evict`` must be unloaded first. ``wait``: models in use must become idle first.
    ``impossible`` says why the model can never be loaded, ``refused`` why the user must unload
    another one first.
    """

    evict: tuple[str, ...] = ()
    wait: bool = False
    impossible: str | None = None
    refused: str | None = None


def admit(wanted: MemoryClaim, claims: Sequence[MemoryClaim], budget: Budget) -> AdmissionDecision:
    """Decide which models to unload: the least recently used first, and no more than needed.

    ``claims`` are in order of use, the least recently used first.
    """
    if wanted.ram > budget.ram:
        return AdmissionDecision(impossible=_too_large("RAM", wanted.ram, budget.ram))
    if budget.gpu is not None and wanted.gpu > budget.gpu:
        return AdmissionDecision(impossible=_too_large("GPU memory", wanted.gpu, budget.gpu))
    staying = list(claims)
    for claim in claims:
        if _fits(wanted, staying, budget):
            break
        if claim.idle and _helps(claim, wanted, staying, budget):
            staying.remove(claim)
    if not _fits(wanted, staying, budget):
        return AdmissionDecision(wait=True)
    leaving = [claim for claim in claims if claim not in staying]
    return AdmissionDecision(evict=_fewest_evictions(wanted, leaving, staying, budget))


def _fewest_evictions(
    wanted: MemoryClaim, leaving: list[MemoryClaim], staying: list[MemoryClaim], budget: Budget
) -> tuple[str, ...]:
    """Keep the models whose bytes turn out not to be needed, the most recently used first."""
    for claim in reversed(leaving[:]):
        if _fits(wanted, [*staying, claim], budget):
            leaving.remove(claim)
            staying.append(claim)
    return tuple(claim.id for claim in leaving)


def _helps(
    claim: MemoryClaim, wanted: MemoryClaim, staying: Sequence[MemoryClaim], budget: Budget
) -> bool:
    """Whether unloading helps: while only the count of one kind is too high, other kinds stay."""
    return claim.kind == wanted.kind or not _bytes_fit(wanted, staying, budget)


def _fits(wanted: MemoryClaim, staying: Sequence[MemoryClaim], budget: Budget) -> bool:
    of_kind = sum(claim.kind == wanted.kind for claim in staying)
    return of_kind < budget.per_kind and _bytes_fit(wanted, staying, budget)


def _bytes_fit(wanted: MemoryClaim, staying: Sequence[MemoryClaim], budget: Budget) -> bool:
    ram = wanted.ram + sum(claim.ram for claim in staying)
    gpu = wanted.gpu + sum(claim.gpu for claim in staying)
    return ram <= budget.ram and (budget.gpu is None or gpu <= budget.gpu)


def _too_large(what: str, wanted: int, limit: int) -> str:
    return (
        f"It needs {wanted / 2**20:,.0f} MB of {what}, but models may take {limit / 2**20:,.0f} "
        "MB: choose a smaller or more quantised one, lower KV_CACHE_MB or PREFIX_CACHE_MB, or "
        "raise MEMORY_BUDGET_MB."
    )
