"""``GET /v1/models``: what there is to talk to."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path

from app.dependencies import Pool
from app.openai.models.errors import COMMON_ERRORS, errors
from app.openai.models.models import Model, ModelList
from app.openai.translate import models as translate
from app.provider.pool.pool import ModelPool

router = APIRouter(prefix="/v1", tags=["models"])

Name = Annotated[str, Path(description="Id or alias of the model.", examples=["starter"])]


@router.get(
    "/models",
    response_description="Every model",
    responses=errors(*COMMON_ERRORS),
    summary="List the models",
)
async def models(pool: Pool) -> ModelList:
    """List every model that can be loaded. None is loaded for it."""
    return await asyncio.to_thread(_listed, pool)


def _listed(pool: ModelPool) -> ModelList:
    return translate.model_list(pool.cards())


@router.get(
    "/models/{model:path}",
    response_description="The model",
    responses=errors(*COMMON_ERRORS, 404, 409),
    summary="Describe one model",
)
async def model(model: Name, pool: Pool) -> Model:
    """Describe one model. It is not loaded for it."""
    card = await pool.find(model)
    return await asyncio.to_thread(translate.model, card)
