"""``GET /v1/health``: whether the server can answer."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from app.dependencies import Pool, Store
from app.openai.models.errors import errors
from app.openai.models.health import Health, MemoryUse, ModelCounts
from app.provider.errors import EngineUnavailable
from app.provider.pool.pool import ModelPool

router = APIRouter(prefix="/v1", tags=["health"])


@router.get(
    "/health",
    response_description="The server can answer",
    responses=errors(403, 421, 500, 503),
    summary="Ask whether the server can answer",
)
async def health(pool: Pool, database: Store) -> Health:
    """Needs no API key. `GET /health` says more, of each model too."""
    problem = await database.problem()
    await pool.rescan_defaults()
    if problem or not pool.is_healthy():
        raise EngineUnavailable("The database or a model cannot be used: see GET /health.", 5.0)
    return await asyncio.to_thread(_health, pool)


def _health(pool: ModelPool) -> Health:
    """The disk is scanned for it."""
    usable = [card for card in pool.cards() if not card.problem]
    loaded = pool.snapshot()
    ready = [status for status in loaded.statuses.values() if status.state == "ready"]
    on_gpu = sum(entry.placement.gpu_bytes for entry in loaded.ledger.values())
    return Health(
        status="ok",
        models=ModelCounts(available=len(usable), loaded=len(ready)),
        memory=MemoryUse(gpu_memory_used_gb=round(on_gpu / 2**30, 3)),
    )
