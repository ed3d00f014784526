"""``POST /v1/completions``: what follows a text."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.chat.choices import Asked
from app.chat.completion import find_chat_model
from app.dependencies import JSON_ONLY, Owner, Pool
from app.openai import respond
from app.openai.completion_stream import CompletionEncoder
from app.openai.models.answers import stream_documentation
from app.openai.models.completions import CHUNK_EXAMPLE, EXAMPLES, Completion, CompletionBody
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.translate import completions as translate
from app.openai.translate.answers import new_head
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.web.disconnect import unless_disconnected

router = APIRouter(prefix="/v1", tags=["completions"])


@router.post(
    "/completions",
    response_model=Completion,
    response_description="The whole answers, or a stream of pieces",
    responses=errors(*GENERATION_ERRORS) | stream_documentation("Completion", CHUNK_EXAMPLE),
    dependencies=[JSON_ONLY],
    summary="Continue texts",
)
async def completions(
    body: Annotated[CompletionBody, Body(openapi_examples=EXAMPLES)],
    pool: Pool,
    owner: Owner,
    request: Request,
) -> Response:
    """Continue each text of `prompt`, or what belongs between it and `suffix`.

    No chat template is used. The `n` answers to the first prompt come first, then those to the
    second. Hanging up stops the model.
    """
    card = await find_chat_model(pool, body.model)
    asked = Asked(card, translate.prompts(body, owner), body.n)
    head = new_head(card.id, "cmpl")
    echoed = await unless_disconnected(request.receive, _echoed(pool, card, body))
    if body.stream:
        encoder = CompletionEncoder(head, echoed, body.n, body.stream_options)
        return respond.stream(pool, asked, encoder)
    fields = partial(translate.completion, head, echoed=echoed, n=body.n)
    return await respond.whole(request, pool, asked, fields)


async def _echoed(pool: ModelPool, card: ModelCard, body: CompletionBody) -> list[str]:
    """What the answers to each prompt begin with."""
    if not body.echo:
        return [""] * len(body.prompt)
    return [
        prompt if isinstance(prompt, str) else await pool.detokenize(card, prompt)
        for prompt in body.prompt
    ]
