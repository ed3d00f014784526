"""``GET /v1/health``: whether the server can answer."""

from __future__ import annotations

from fastapi import APIRouter

from app.dependencies import Pool, Store
from app.openai.models.errors import errors
from app.openai.models.health import Health
from app.provider.errors import EngineUnavailable

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
    return Health(status="ok")
