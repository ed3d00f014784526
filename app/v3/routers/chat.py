"""``POST /chat`` and ``/chat/stream``, with prompt templates."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.chat.answer import stream_answer
from app.chat.completion import build_prompt, collect, find_chat_model, new_answer_id
from app.dependencies import JSON_ONLY, AppSettings, Owner, Pool, TemplateFinder, Templates
from app.v2.services.events import EventEncoder
from app.v3.models.chat import ChatAnswer, ChatRequest
from app.v3.models.events import STREAM_DOCUMENTATION, MessageEvent
from app.v3.models.examples import EXAMPLES
from app.v3.services import translate
from app.v3.services.chat import templated
from app.web.disconnect import unless_disconnected
from app.web.openapi import CHAT_ERRORS, problems
from app.web.sse import EventStream

router = APIRouter(tags=["chat"])


@router.post(
    "/chat",
    response_model=ChatAnswer,
    response_description="The whole answer",
    responses=problems(*CHAT_ERRORS, version=3),
    dependencies=[JSON_ONLY],
    summary="Ask, and get the whole answer",
)
async def chat(
    body: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    pool: Pool,
    settings: AppSettings,
    library: Templates,
    owner: Owner,
    find_template: TemplateFinder,
    request: Request,
) -> Response:
    """Say something to a model and wait for all of its answer.

    The model sees `system`, then `history`, then `message`. A `template` writes the system text,
    may put text around the message, and sets sampling; `variables` fill it in. What the request
    itself sets wins over the template. Nothing is stored. Hanging up stops the model.
    """
    card = await find_chat_model(pool, body.model)
    asked = await templated(translate.chat_request(body), library, card, find_template)
    prompt = build_prompt(asked, owner, settings.max_history_length)
    completion = await unless_disconnected(
        request.receive, collect(stream_answer(pool, card, prompt))
    )
    answer = translate.chat_answer(card.id, body.template, completion)
    # A finished response: otherwise the framework would validate the answer again.
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post(
    "/chat/stream",
    response_class=Response,  # its content is documented in full below
    responses=problems(*CHAT_ERRORS, version=3) | STREAM_DOCUMENTATION,
    dependencies=[JSON_ONLY],
    summary="Ask, and get the answer as it is made",
)
async def chat_stream(
    body: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    pool: Pool,
    settings: AppSettings,
    library: Templates,
    owner: Owner,
    find_template: TemplateFinder,
) -> EventStream:
    """Say something to a model and read its answer as server-sent events.

    The order is `message`, then any number of `queued`, `loading` and `prefill`, then any number
    of `delta`, then exactly one `done` or `error`, and nothing after it. Every event has an id;
    lines that begin with a colon are comments that keep the connection open. An error that
    happens before the model has accepted the question is a normal HTTP error. `template` and
    `variables` work as in `/chat`. Hanging up stops the model.
    """
    card = await find_chat_model(pool, body.model)
    asked = await templated(translate.chat_request(body), library, card, find_template)
    prompt = build_prompt(asked, owner, settings.max_history_length)
    head = MessageEvent(id=new_answer_id(), model=card.id, template=body.template)
    return EventStream(EventEncoder(head.model_dump()), stream_answer(pool, card, prompt))
