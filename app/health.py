"""``/health``: whether the server lives, and whether its models and its database do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.dependencies import Pool, Store
from app.provider.runtime import HostStatus

router = APIRouter(include_in_schema=False)


@router.api_route("/health/live", methods=["GET", "HEAD"])
async def live() -> JSONResponse:
    """The process answers; says nothing of models."""
    return JSONResponse({"status": "ok"})


@router.api_route("/health", methods=["GET", "HEAD"])
async def health(pool: Pool, database: Store) -> JSONResponse:
    """503 while the database or an engine is down or hangs; a model that is not loaded is well."""
    problem = await database.problem()
    well = pool.well() and not problem
    told = {
        "status": "ok" if well else "unhealthy",
        "database": problem or "ok",
        "models": {model: _shown(status) for model, status in pool.health().items()},
    }
    return JSONResponse(told, 200 if well else 503)


def _shown(status: HostStatus) -> dict[str, Any]:
    shown = asdict(status)
    del shown["pid"]  # anybody may ask; process numbers are for the one who runs the server
    return shown
