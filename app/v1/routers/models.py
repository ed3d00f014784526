"""``GET /models``: what there is to talk to."""

from __future__ import annotations

from fastapi import APIRouter

from app.dependencies import Pool
from app.v1.models.models import ModelList
from app.v1.services.models import list_models
from app.web.openapi import COMMON_ERRORS, problems

router = APIRouter(tags=["models"])


@router.get(
    "/models",
    response_description="Every model",
    responses=problems(*COMMON_ERRORS),
    summary="List the models",
)
async def models(pool: Pool) -> ModelList:
    """List every model in the models folder, and whether it is loaded.

    A model that is not loaded is loaded by the first request that names it.
    """
    return await list_models(pool)
