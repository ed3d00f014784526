"""``POST /v1/chat/completions``: the next message of a chat."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from app.dependencies import AppSettings, Owner, Vision
from app.openai import respond
from app.openai.chat_stream import ChatEncoder
from app.openai.models import examples
from app.openai.models.answers import CHUNK_EXAMPLE, ChatCompletion, stream_documentation
from app.openai.models.chat import ChatBody
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.routers.services_of import services_of
from app.openai.service import ask_chat
from app.openai.translate.answers import chat_completion
from app.openai.translate.chat import require_length
from app.openai.translate.messages import image_sources
from app.web.disconnect import unless_disconnected
from app.web.large_bodies import json_body
from app.web.openapi import json_schema
from app.web.skipped_tools import skipped_tools_header

router = APIRouter(prefix="/v1", tags=["chat"])


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
    services = services_of(vision, owner)
    async with json_body(request, ChatBody) as body:
        require_length(body, settings.max_history_length)
        decodes = bool(image_sources(body.messages))
        asking = ask_chat(body, services)
        chat = await (unless_disconnected(request.receive, asking) if decodes else asking)
    headers = skipped_tools_header(chat.skipped)
    if body.stream:
        encoder = ChatEncoder(chat.head, body.stream_options, logprobs=body.logprobs)
        return respond.stream(services.pool, chat.asked, encoder, headers)
    fields = partial(chat_completion, chat.head, logprobs=body.logprobs)
    return await respond.whole(request, services.pool, chat.asked, fields, headers)
