"""``/health``: whether the server lives, and whether its models and its database do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.downloads.startup_pull import PullStatus
from app.provider.pool.eviction import LedgerEntry
from app.provider.pool.pool import ModelPool
from app.provider.runtime.metrics import MetricValues
from app.provider.runtime.status import HostStatus
from app.storage.database import Database

router = APIRouter(include_in_schema=False)


@router.api_route("/health/live", methods=["GET", "HEAD"])
async def live() -> JSONResponse:
    """The process answers; says nothing of models."""
    return JSONResponse({"status": "ok"})


@router.api_route("/health", methods=["GET", "HEAD"])
async def health(request: Request) -> JSONResponse:
    """503 while the database, an engine or the model server is down or hangs.

    A model that is not loaded is well. So is one that cannot be loaded, unless a setting names it.
    503 ``pulling`` until the model of the setting PULL has arrived.
    """
    pool: ModelPool = request.state.pool
    database: Database = request.state.database
    pull: PullStatus = request.state.after_start.pull
    problem = await database.problem()
    await pool.rescan_defaults()
    loaded = await pool.measured()
    unreachable = pool.host_problem()
    well = not unreachable and pool.is_healthy() and not problem
    body: dict[str, Any] = {
        "status": _status(well, pull),
        "database": problem or "ok",
        "models": {
            model: _shown(status, loaded.metrics.get(model), loaded.ledger.get(model))
            for model, status in {**pool.broken_defaults(), **loaded.statuses}.items()
        },
    }
    if request.state.group is not None:
        body["model_server"] = unreachable or "ok"
    if pull.name:
        body["pull"] = pull.shown()
    return JSONResponse(body, 200 if body["status"] == "ok" else 503)


def _status(well: bool, pull: PullStatus) -> str:
    if pull.state == "pulling":
        return "pulling"
    return "ok" if well and pull.state == "done" else "unhealthy"


def _shown(
    status: HostStatus, metrics: MetricValues | None, entry: LedgerEntry | None
) -> dict[str, Any]:
    """Status and recent figures; None where there is nothing to tell yet."""
    metrics = metrics or MetricValues()
    shown = asdict(status)
    del shown["pid"]  # anybody may ask; process numbers are for the one who runs the server
    return shown | {
        "tokens_per_second": _rounded(metrics.tokens_per_second),
        "time_to_first_token_seconds": _rounded(metrics.time_to_first_token),
        "cache_hit_rate": _rounded(metrics.cache_hit_rate),
        "memory_bytes": (entry and entry.measured) or None,
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
