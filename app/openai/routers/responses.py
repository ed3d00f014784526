"""``/v1/responses``: answers to items, kept in conversations unless the request says otherwise."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from app.conversations.answer_input import count_input
from app.dependencies import Answers, Owner, Vision
from app.openai import conversation_service, response_answers, response_service
from app.openai.models.conversations import ItemList
from app.openai.models.errors import COMMON_ERRORS, GENERATION_ERRORS, errors
from app.openai.models.response_objects import (
    RESPONSE_EXAMPLES,
    TOKENS_EXAMPLES,
    DeletedResponse,
    InputTokenCount,
    ResponseObject,
    event_documentation,
)
from app.openai.models.responses import InputTokensBody, ResponseBody
from app.openai.routers.conversations import After, Limit
from app.openai.routers.services_of import services_of
from app.openai.translate.item_list import Order
from app.openai.translate.response_input import image_sources
from app.openai.translate.responses import stored_response
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema

router = APIRouter(prefix="/v1/responses", tags=["responses"])

ResponseId = Annotated[str, Path(max_length=200)]

PROBLEMS = errors(400, *COMMON_ERRORS, 404, 503)


@router.post(
    "",
    response_model=ResponseObject,
    response_description="The whole response, or a stream of its events",
    responses=errors(*GENERATION_ERRORS) | event_documentation(),
    openapi_extra=json_schema(ResponseBody, RESPONSE_EXAMPLES),
    summary="Answer items",
)
async def create_response(
    request: Request, vision: Vision, answering: Answers, owner: Owner
) -> Response:
    """Answer the input, whole or as it is made (`stream`), now or in the `background`.

    Both are kept unless `store` is false, in a conversation that every dialect shows:
    `previous_response_id` goes on from any response of it, `conversation` at its end. Hanging up
    stops the model, but not one in the background. Tools are run by the client; those of types
    that are not run here are skipped and named in the header `X-Skipped-Tools`.
    """
    services = services_of(vision, owner)
    async with json_body(request, ResponseBody) as body:
        asking = response_service.ask_response(services, body)
        decodes = bool(image_sources(body.input))
        asked = await (unless_disconnected(request.receive, asking) if decodes else asking)
    if body.background:
        return await response_answers.in_background(answering, owner, asked, stream=body.stream)
    if body.stream:
        return response_answers.streamed(answering, asked)
    return await response_answers.whole(request, answering, asked)


@router.post(
    "/input_tokens",
    response_model=InputTokenCount,
    responses=errors(*GENERATION_ERRORS),
    openapi_extra=json_schema(InputTokensBody, TOKENS_EXAMPLES),
    summary="Count the tokens of an input",
)
async def count_input_tokens(request: Request, vision: Vision, owner: Owner) -> dict[str, Any]:
    """Say how many tokens the model would read; nothing is answered or kept."""
    services = services_of(vision, owner)
    async with json_body(request, InputTokensBody) as body:
        asked, _ = await response_service.resolve_input(services, body)
    counting = count_input(services.conversations, asked)
    size = await unless_disconnected(request.receive, counting)
    return {"object": "response.input_tokens", "input_tokens": size.tokens}


@router.get(
    "/{response_id}",
    response_model=ResponseObject,
    response_description="The response, or a stream of its events",
    responses=PROBLEMS | event_documentation(),
    summary="Read a response",
)
async def get_response(
    response_id: ResponseId,
    vision: Vision,
    answering: Answers,
    owner: Owner,
    stream: Annotated[bool, Query(description="Its events, as they come.")] = False,
    starting_after: Annotated[
        int, Query(ge=-1, description="The `sequence_number` of the last event that came.")
    ] = -1,
) -> Response:
    """A stored response as it is now, or its events from one on.

    An answer of another dialect is a response too: its id is made of those of its conversation and
    its message.
    """
    found = await response_service.read_response(services_of(vision, owner), response_id)
    if stream:
        return await response_answers.resumed(answering, owner, found, starting_after)
    return response_answers.as_json(stored_response(found))


@router.delete(
    "/{response_id}",
    response_model=DeletedResponse,
    responses=PROBLEMS,
    summary="Delete a response",
)
async def delete_response(response_id: ResponseId, vision: Vision, owner: Owner) -> dict[str, Any]:
    """Delete a response with its input, and its conversation if it consists of nothing else.

    What others follow, and what is in a conversation that the request named, remains there.
    """
    await response_service.remove(services_of(vision, owner), response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post(
    "/{response_id}/cancel",
    response_model=ResponseObject,
    responses=PROBLEMS,
    summary="Stop a response that is being made",
)
async def cancel_response(response_id: ResponseId, vision: Vision, owner: Owner) -> Response:
    """Stop a response that is being made, and say what has become of it."""
    found = await response_service.cancel(services_of(vision, owner), response_id)
    return response_answers.as_json(stored_response(found))


@router.get(
    "/{response_id}/input_items",
    response_model=ItemList,
    responses=PROBLEMS,
    summary="List what a response was asked with",
)
async def list_input_items(
    response_id: ResponseId,
    vision: Vision,
    owner: Owner,
    limit: Limit = 20,
    after: After = None,
    order: Order = "desc",
) -> dict[str, Any]:
    """The items of the response's own input, the newest first unless `order` is `asc`."""
    services = services_of(vision, owner)
    found = await response_service.read_response(services, response_id)
    query = conversation_service.PageQuery(limit, after, order)
    return await conversation_service.list_input(services, found, query)
