"""``POST /chat``: a whole answer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.chat.answer import stream_answer
from app.chat.completion import build_prompt, collect, find_chat_model
from app.dependencies import JSON_ONLY, AppSettings, Owner, Pool, TemplateFinder
from app.templates.of_preset import apply_with_preset
from app.v1.models.chat import EXAMPLES, ChatAnswer, ChatRequest
from app.v1.services import translate
from app.web.disconnect import unless_disconnected
from app.web.openapi import CHAT_ERRORS, problems

router = APIRouter(tags=["chat"])


@router.post(
    "/chat",
    response_model=ChatAnswer,
    response_description="The whole answer",
    responses=problems(*CHAT_ERRORS),
    dependencies=[JSON_ONLY],
    summary="Ask, and get the whole answer",
)
async def chat(
    body: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    pool: Pool,
    settings: AppSettings,
    owner: Owner,
    find_template: TemplateFinder,
    request: Request,
) -> Response:
    """Say something to a model and wait for all of its answer.

    The model sees `system`, then `history`, then `message`. Nothing is stored: send the history
    again with each request. Only `message` is required. Hanging up stops the model.
    """
    card = await find_chat_model(pool, body.model)
    asked = await apply_with_preset(translate.chat_request(body), None, card, find_template)
    prompt = build_prompt(asked, owner, settings.max_history_length)
    completion = await unless_disconnected(
        request.receive, collect(stream_answer(pool, card, prompt))
    )
    answer = translate.chat_answer(card.id, completion)
    # A finished response: otherwise the framework would validate the answer again.
    return Response(answer.model_dump_json(), media_type="application/json")
