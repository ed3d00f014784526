"""``POST /v1/tokenize`` and ``/v1/detokenize``: texts as the model's own tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from msgspec.json import encode

from app.chat.completion import find_chat_model
from app.dependencies import JSON_ONLY, Pool, TemplateFinder
from app.openai.models.errors import GENERATION_ERRORS, errors
from app.openai.models.tokens import (
    DETOKENIZE_EXAMPLES,
    TOKENIZE_EXAMPLES,
    DetokenizeBody,
    DetokenizedText,
    TokenizeBody,
    TokenizedText,
)
from app.openai.translate.tokens import asked_text, tokenized_text
from app.templates.of_preset import preset_template
from app.web.disconnect import unless_disconnected

router = APIRouter(prefix="/v1", tags=["tokens"])


@router.post(
    "/tokenize",
    response_model=TokenizedText,
    response_description="The tokens",
    responses=errors(*GENERATION_ERRORS),
    dependencies=[JSON_ONLY],
    summary="Turn a text or a chat into tokens",
)
async def tokenize(
    body: Annotated[TokenizeBody, Body(openapi_examples=TOKENIZE_EXAMPLES)],
    pool: Pool,
    find_template: TemplateFinder,
    request: Request,
) -> Response:
    """Give the tokens of a text, or of messages in the model's chat template.

    The model is loaded first if it is not. `prompt` of `/v1/completions` takes these tokens.
    """
    card = await find_chat_model(pool, body.model)
    asked = await asked_text(body, await preset_template(card, find_template))
    asking = pool.tokenize(card, asked, add_special=body.add_special_tokens)
    found = await unless_disconnected(request.receive, asking)
    answer = tokenized_text(found, card.context_length, strings=body.return_token_strs)
    return Response(encode(answer), media_type="application/json")


@router.post(
    "/detokenize",
    response_model=DetokenizedText,
    response_description="The text",
    responses=errors(*GENERATION_ERRORS),
    dependencies=[JSON_ONLY],
    summary="Turn tokens into text",
)
async def detokenize(
    body: Annotated[DetokenizeBody, Body(openapi_examples=DETOKENIZE_EXAMPLES)],
    pool: Pool,
    request: Request,
) -> Response:
    """Give the text of tokens of the model's own vocabulary."""
    card = await find_chat_model(pool, body.model)
    text = await unless_disconnected(request.receive, pool.detokenize(card, body.tokens))
    return Response(encode({"prompt": text, "content": text}), media_type="application/json")
