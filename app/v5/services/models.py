"""Models as v5 shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from app.provider.card import ModelCard
from app.provider.catalogue.checksum_jobs import Checksums
from app.provider.engine import EngineLimits
from app.provider.memory import Need
from app.provider.pool.eviction import LedgerEntry
from app.provider.pool.pool import ModelPool
from app.v1.services import models as v1
from app.v5.models.models import (
    Memory,
    ModelDetail,
    ModelDetailList,
    ModelPlan,
    PlanRequest,
    Residence,
)

HASHING_SECONDS = 2.0
"""How long a response waits for a checksum that is not known yet."""


async def list_models(pool: ModelPool) -> ModelDetailList:
    """Every model on disk with the state of its engine, without checksums."""
    cards = await asyncio.to_thread(pool.cards)
    await pool.measured()
    return ModelDetailList(models=_details(pool, cards))


async def model_detail(pool: ModelPool, checksums: Checksums, model: str) -> ModelDetail:
    """All details of one model; raises ModelNotFound, ModelConflict."""
    card = await pool.find(model)
    sha256 = await checksums.of(card, HASHING_SECONDS)
    await pool.measured()
    return _details(pool, [card])[0].model_copy(update={"sha256": sha256})


def loaded_fields(pool: ModelPool, card: ModelCard) -> dict[str, object]:
    """The details of a model as data of the last event of a load."""
    return _details(pool, [card])[0].model_dump()


async def plan(pool: ModelPool, model: str, request: PlanRequest) -> ModelPlan:
    """What loading the model would take; raises ModelNotFound, ModelConflict."""
    limits = _limits(pool.snapshot().limits, request)
    card = await pool.find(model)
    estimate, decision = await pool.plan(card.id, limits)
    reason = card.problem or decision.impossible or decision.refused
    others = [entry for one, entry in pool.snapshot().ledger.items() if one != card.ref.id]
    return ModelPlan(
        model=card.id,
        fits=reason is None,
        reason=reason,
        loaded=pool.state(card.id) == "ready",
        evict=list(decision.evict),
        wait=decision.wait,
        parts=_parts(estimate.need),
        ram_bytes=estimate.ram,
        ram_budget_bytes=estimate.budget.ram,
        ram_taken_bytes=sum(entry.held for entry in others),
        gpu_bytes=estimate.gpu,
        gpu_layers=estimate.placement.gpu_layers,
        layers=estimate.placement.layers,
    )


def _limits(limits: EngineLimits, request: PlanRequest) -> EngineLimits:
    wanted = request.model_dump(exclude_none=True)
    megabytes = {
        name: wanted[f"{name}_mb"] * 2**20
        for name in ("kv_cache", "prefix_cache")
        if f"{name}_mb" in wanted
    }
    counts = {name: wanted[name] for name in ("context_length", "slots") if name in wanted}
    return replace(limits, **counts, **{f"{name}_bytes": n for name, n in megabytes.items()})


def _details(pool: ModelPool, cards: Sequence[ModelCard]) -> list[ModelDetail]:
    entries = pool.snapshot().ledger
    return [_detail(pool, card, entries.get(card.id)) for card in cards]


def _detail(pool: ModelPool, card: ModelCard, entry: LedgerEntry | None) -> ModelDetail:
    return ModelDetail(
        **v1.model_fields(card, pool),
        name=card.name,
        version=card.version,
        aliases=list(card.aliases),
        architecture=card.architecture,
        parameters=card.parameters,
        quantization=card.quantization,
        licence=card.licence,
        chat_template=card.chat_template or None,
        sha256=None,
        problem=card.problem,
        memory=_residence(entry) if entry else None,
    )


def _residence(entry: LedgerEntry) -> Residence:
    return Residence(
        predicted_bytes=entry.predicted,
        measured_bytes=entry.measured,
        gpu_bytes=entry.placement.gpu_bytes,
        gpu_layers=entry.placement.gpu_layers,
        parts=_parts(entry.need),
    )


def _parts(need: Need) -> Memory:
    return Memory(
        runtime=need.runtime,
        weights=need.weights,
        kv=need.kv,
        compute=need.compute,
        prefix_cache=need.prefix_cache,
        vision=need.vision,
    )
