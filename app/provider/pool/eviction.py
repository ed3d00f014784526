"""Who holds how many bytes, and who has to leave before another model can come. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.provider.card import Task
from app.provider.memory import Need, Placement


@dataclass(frozen=True, slots=True)
class Entry:
    """What a loaded model was given, and what its process really takes (0: not measured)."""

    need: Need
    placement: Placement
    measured: int = 0

    @property
    def predicted(self) -> int:
        """Bytes of RAM that it may take."""
        return self.placement.ram_bytes

    @property
    def held(self) -> int:
        """Bytes of RAM to count for it: a prediction that was exceeded counts no longer."""
        return max(self.predicted, self.measured)


@dataclass(frozen=True, slots=True)
class MemoryClaim:
    """A loaded model, as the ledger sees it. An idle one may leave."""

    id: str
    kind: Task
    ram: int
    gpu: int
    idle: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes for all models together, and how many of one kind there may be.

    ``gpu`` None does not limit: its room was already looked at when the model was placed.
    """

    ram: int
    gpu: int | None = None
    per_kind: int = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model can come: after ``leave`` have left; after waiting for models in use.

    ``never`` says why it cannot come at all, ``refused`` why not until the user makes room.
    """

    leave: tuple[str, ...] = ()
    wait: bool = False
    never: str | None = None
    refused: str | None = None


def admit(wanted: MemoryClaim, claims: Sequence[MemoryClaim], budget: Budget) -> Verdict:
    """Decide who leaves, the least recently used of ``claims`` first, and no more than needed."""
    if wanted.ram > budget.ram:
        return Verdict(never=_too_large("RAM", wanted.ram, budget.ram))
    if budget.gpu is not None and wanted.gpu > budget.gpu:
        return Verdict(never=_too_large("GPU memory", wanted.gpu, budget.gpu))
    staying = list(claims)
    for claim in claims:
        if _fits(wanted, staying, budget):
            break
        if claim.idle and _helps(claim, wanted, staying, budget):
            staying.remove(claim)
    if not _fits(wanted, staying, budget):
        return Verdict(wait=True)
    leaving = [claim for claim in claims if claim not in staying]
    return Verdict(leave=_spare(wanted, leaving, staying, budget))


def _spare(
    wanted: MemoryClaim, leaving: list[MemoryClaim], staying: list[MemoryClaim], budget: Budget
) -> tuple[str, ...]:
    """Let those stay that turned out not to matter, the most recently used first."""
    for claim in reversed(leaving[:]):
        if _fits(wanted, [*staying, claim], budget):
            leaving.remove(claim)
            staying.append(claim)
    return tuple(claim.id for claim in leaving)


def _helps(
    claim: MemoryClaim, wanted: MemoryClaim, staying: Sequence[MemoryClaim], budget: Budget
) -> bool:
    """While only the number of a kind is too high, models of other kinds stay."""
    return claim.kind == wanted.kind or not _bytes_fit(wanted, staying, budget)


def _fits(wanted: MemoryClaim, staying: Sequence[MemoryClaim], budget: Budget) -> bool:
    of_kind = sum(claim.kind == wanted.kind for claim in staying)
    return of_kind < budget.per_kind and _bytes_fit(wanted, staying, budget)


def _bytes_fit(wanted: MemoryClaim, staying: Sequence[MemoryClaim], budget: Budget) -> bool:
    ram = wanted.ram + sum(claim.ram for claim in staying)
    gpu = wanted.gpu + sum(claim.gpu for claim in staying)
    return ram <= budget.ram and (budget.gpu is None or gpu <= budget.gpu)


def _too_large(what: str, wanted: int, there_is: int) -> str:
    return (
        f"It needs {wanted / 2**20:,.0f} MB of {what}, but models may take {there_is / 2**20:,.0f} "
        "MB: choose a smaller or more quantised one, lower KV_CACHE_MB or PREFIX_CACHE_MB, or "
        "raise MEMORY_BUDGET_MB."
    )
