"""``POST /chat/stream``: the answer while it is being made."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from app.chat.answer import stream_answer
from app.chat.completion import build_prompt, find_chat_model, new_answer_id
from app.dependencies import JSON_ONLY, AppSettings, Owner, Pool, TemplateFinder
from app.templates.of_preset import apply_with_preset
from app.v1.models.chat import EXAMPLES, ChatRequest
from app.v1.services import translate
from app.v2.models.events import STREAM_DOCUMENTATION, MessageEvent
from app.v2.services.events import EventEncoder
from app.web.openapi import CHAT_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])


@router.post(
    "/chat/stream",
    response_class=Response,  # its content is documented in full below
    responses=problems(*CHAT_ERRORS) | STREAM_DOCUMENTATION,
    dependencies=[JSON_ONLY],
    summary="Ask, and get the answer as it is made",
)
async def chat_stream(
    body: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    pool: Pool,
    settings: AppSettings,
    owner: Owner,
    find_template: TemplateFinder,
) -> EventStream:
    """Say something to a model and read its answer as server-sent events.

    The order is `message`, then any number of `queued`, `loading` and `prefill`, then any number
    of `delta`, then exactly one `done` or `error`, and nothing after it. Every event has an id;
    lines that begin with a colon are comments that keep the connection open. An error that
    happens before the model has accepted the question is a normal HTTP error. Hanging up stops
    the model.
    """
    card = await find_chat_model(pool, body.model)
    asked = await apply_with_preset(translate.chat_request(body), None, card, find_template)
    prompt = build_prompt(asked, owner, settings.max_history_length)
    head = MessageEvent(id=new_answer_id(), model=card.id)
    return EventStream(EventEncoder(head.model_dump()), stream_answer(pool, card, prompt))
