"""``POST /v1/fim/completions``: what belongs into a gap, as editors ask for it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.chat.choices import Asked
from app.chat.completion import find_chat_model
from app.dependencies import JSON_ONLY, Owner, Pool
from app.openai import respond
from app.openai.chat_stream import ChatEncoder
from app.openai.models.answers import CHUNK_EXAMPLE, ChatCompletion, stream_documentation
from app.openai.models.completions import INFILL_EXAMPLES, InfillBody
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.translate.answers import chat_completion, new_head
from app.openai.translate.completions import infill_prompt

router = APIRouter(prefix="/v1", tags=["completions"])


@router.post(
    "/fim/completions",
    response_model=ChatCompletion,
    response_description="The whole answers, or a stream of chunks",
    responses=errors(*GENERATION_ERRORS)
    | stream_documentation("ChatCompletionChunk", CHUNK_EXAMPLE),
    dependencies=[JSON_ONLY],
    summary="Fill in a gap",
)
async def fim_completions(
    body: Annotated[InfillBody, Body(openapi_examples=INFILL_EXAMPLES)],
    pool: Pool,
    owner: Owner,
    request: Request,
) -> Response:
    """Write what belongs between `prompt` and `suffix`; without a suffix, what follows.

    A model that was not trained to fill in gaps refuses a suffix. The answer has the form of a
    chat's.
    """
    card = await find_chat_model(pool, body.model)
    asked = Asked(card, (infill_prompt(body, owner),), body.n)
    head = new_head(card.id, "fim")
    if body.stream:
        encoder = ChatEncoder(head, body.stream_options, logprobs=False)
        return respond.stream(pool, asked, encoder)
    fields = partial(chat_completion, head, logprobs=False)
    return await respond.whole(request, pool, asked, fields)
