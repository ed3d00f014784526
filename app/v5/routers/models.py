"""One model: what it is, loading it, unloading it, and whether it would fit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from app.dependencies import ADMIN_ONLY, JSON_OR_NOTHING, Checksums, Pool
from app.v2.services.events import EventEncoder
from app.v5.models.models import (
    LOAD_DOCUMENTATION,
    PLAN_EXAMPLES,
    LoadMessageEvent,
    ModelDetail,
    ModelDetailList,
    ModelPlan,
    PlanRequest,
)
from app.v5.services import models as service
from app.web.openapi import CHAT_ERRORS, COMMON_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["models"])

Model = Annotated[str, Path(description="Id or alias of the model.", examples=["starter"])]


@router.get(
    "/models",
    response_description="Every model",
    responses=problems(*COMMON_ERRORS, version=5),
    summary="List the models with all that is known of them",
)
async def models(pool: Pool) -> ModelDetailList:
    """List every model in the models folder, and what the loaded ones take.

    A file that was put there shows at once. `GET /models/{model}` also has the checksum.
    """
    return await service.list_models(pool)


@router.get(
    "/models/{model}",
    response_description="The model",
    responses=problems(*COMMON_ERRORS, 404, 409, version=5),
    summary="Describe one model",
)
async def model(model: Model, pool: Pool, checksums: Checksums) -> ModelDetail:
    """Describe one model: its facts, its licence, its checksum, its state and its memory."""
    return await service.model_detail(pool, checksums, model)


@router.post(
    "/models/{model}/load",
    response_class=Response,  # its content is documented in full below
    responses=problems(*CHAT_ERRORS, version=5) | LOAD_DOCUMENTATION,
    dependencies=[ADMIN_ONLY],
    summary="Load a model and watch",
)
async def load_model(model: Model, pool: Pool) -> EventStream:
    """Load the model, or find it loaded; idle models leave if it needs their room.

    The events are `message`, then any number of `queued` and `loading`, then `done` or `error`.
    Requests to a model load it as well: this only does it ahead of them. Hanging up does not
    stop a load that has begun.
    """
    card = await pool.find(model)
    head = LoadMessageEvent(model=card.id)
    encoder = EventEncoder(head.model_dump(), lambda _: service.loaded_fields(pool, card))
    return EventStream(encoder, pool.load(card.id))


@router.delete(
    "/models/{model}/load",
    status_code=204,
    response_description="It is not loaded (any more)",
    responses=problems(*COMMON_ERRORS, 404, 409, version=5),
    dependencies=[ADMIN_ONLY],
    summary="Unload a model",
)
async def unload_model(model: Model, pool: Pool) -> None:
    """Unload the model: all its memory goes back to the system.

    Nothing happens to one that is not loaded; one that is answering is refused with 409. The
    next request to the model loads it again.
    """
    await pool.unload(model)


@router.post(
    "/models/{model}/plan",
    response_description="What would happen",
    responses=problems(*COMMON_ERRORS, 400, 404, 409, 413, 415, 422, version=5),
    dependencies=[JSON_OR_NOTHING],
    summary="Ask whether a model would fit",
)
async def plan_model(
    model: Model,
    pool: Pool,
    body: Annotated[PlanRequest | None, Body(openapi_examples=PLAN_EXAMPLES)] = None,
) -> ModelPlan:
    """Say what loading the model would take, where it would go and who would have to leave.

    Nothing is loaded or unloaded.
    """
    return await service.plan(pool, model, body or PlanRequest())
