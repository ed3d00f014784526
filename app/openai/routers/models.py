"""``GET /v1/models``: what there is to talk to."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Response
from msgspec.json import encode

from app.chat.model_choice import find_model
from app.dependencies import Owner, Pool, Services, TemplateFinder
from app.openai.models.errors import COMMON_ERRORS, errors
from app.openai.models.models import Model, ModelList
from app.openai.template_names import template_names
from app.openai.translate import models as translate
from app.provider.card import ModelCard

router = APIRouter(prefix="/v1", tags=["models"])

Name = Annotated[
    str, Path(description="Id or alias of a model, or model@template.", examples=["starter"])
]


@router.get(
    "/models",
    response_model=ModelList,
    response_description="Every model",
    responses=errors(*COMMON_ERRORS, 503),
    summary="List the models",
)
async def models(services: Services, owner: Owner) -> Response:
    """List every model that can be loaded, and each with each prompt template. None is loaded.

    Templates with variables that must be set are left out.
    """
    templates = await template_names(services, owner)

    def listed() -> bytes:
        return encode(translate.model_list(services.pool.cards(), templates))

    return _answer(await asyncio.to_thread(listed))


@router.get(
    "/models/{model:path}",
    response_model=Model,
    response_description="The model",
    responses=errors(*COMMON_ERRORS, 404, 409, 503),
    summary="Describe one model",
)
async def model(model: Name, pool: Pool, find_template: TemplateFinder) -> Response:
    """Describe one model. It is not loaded for it."""
    chosen = await find_model(pool, model, find_template)
    template = chosen.template.template.name if chosen.template else None
    return _answer(await asyncio.to_thread(_described, chosen.card, template))


def _described(card: ModelCard, template: str | None) -> bytes:
    fields = translate.model(card)
    return encode(translate.with_template(fields, template) if template else fields)


def _answer(body: bytes) -> Response:
    # A finished response: otherwise the framework would validate a thousand models again.
    return Response(body, media_type="application/json")
