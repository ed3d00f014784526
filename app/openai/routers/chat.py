"""``POST /v1/chat/completions``: the next message of a chat."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.types import Receive

from app.chat.choices import Asked
from app.chat.images import decode_images
from app.chat.model_choice import choose_model
from app.dependencies import AppSettings, Owner, Vision, VisionServices
from app.openai import respond
from app.openai.chat_stream import ChatEncoder
from app.openai.models import examples
from app.openai.models.answers import CHUNK_EXAMPLE, ChatCompletion, stream_documentation
from app.openai.models.chat import ChatBody
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.translate.answers import AnswerHead, chat_completion, new_head
from app.openai.translate.chat import chat_prompt, require_length
from app.openai.translate.messages import image_sources
from app.openai.translate.tools import chosen_tools
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema
from app.web.skipped_tools import skipped_tools_header

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1", tags=["chat"])


@dataclass(frozen=True, slots=True)
class AskedChat:
    """A chat that is ready to be answered, and what its answer will look like."""

    asked: Asked
    head: AnswerHead
    headers: dict[str, str]


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    response_description="The whole answers, or a stream of chunks",
    responses=errors(*GENERATION_ERRORS)
    | stream_documentation("ChatCompletionChunk", CHUNK_EXAMPLE),
    openapi_extra=json_schema(ChatBody, examples.CHAT),
    summary="Answer a chat",
)
async def chat_completions(
    request: Request, vision: Vision, settings: AppSettings, owner: Owner
) -> Response:
    """Answer the messages of a chat, whole or as it is made (`stream`).

    Nothing is stored: send all messages with each request. Hanging up stops the model. Tools are
    run by the client: the answer calls them, and the next request brings what they returned. Tools
    of types that are not run here are skipped and named in the header `X-Skipped-Tools`.
    """
    async with json_body(request, ChatBody) as body:
        require_length(body, settings.max_history_length)
        chat = await _ask(body, vision, owner, request.receive)
    pool = vision.conversations.pool
    if body.stream:
        encoder = ChatEncoder(
            chat.head, usage=bool(body.stream_options.include_usage), logprobs=body.logprobs
        )
        return respond.stream(pool, chat.asked, encoder, chat.headers)
    fields = partial(chat_completion, chat.head, logprobs=body.logprobs)
    return await respond.whole(request, pool, chat.asked, fields, chat.headers)


async def _ask(body: ChatBody, vision: VisionServices, owner: str, receive: Receive) -> AskedChat:
    """Choose the model, then decode the images: a refused model costs no decoding."""
    tools = chosen_tools(body)
    sources = image_sources(body.messages)
    services = vision.conversations
    find = partial(services.find_template, owner)
    model = await choose_model(services.pool, body.model, find, images=bool(sources))
    decoding = decode_images(vision.intake, model.card, sources)
    images = await (unless_disconnected(receive, decoding) if sources else decoding)
    prompt = await chat_prompt(body, images, tools, model.template, owner)
    if tools.skipped:
        log.info("skipped tools of the types %s", ", ".join(map(repr, tools.skipped)))
    asked = Asked(model.card, (prompt,), body.n)
    return AskedChat(asked, new_head(model.name, "chatcmpl"), skipped_tools_header(tools.skipped))
