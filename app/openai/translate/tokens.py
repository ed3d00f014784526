"""Texts and chats to tokenise, and their tokens as the wire has them."""

from __future__ import annotations

import json
from typing import Any

from app.chat.request import SamplingOptions
from app.openai.errors import InvalidParameter
from app.openai.models.tokens import TokenizeBody
from app.openai.translate.messages import domain_messages, image_sources
from app.openai.translate.tools import function_tools
from app.provider.types import Prompt, Tokens
from app.templates.frame import frame
from app.templates.rendering import CompiledTemplate


async def asked_text(body: TokenizeBody, template: CompiledTemplate | None) -> Prompt | str:
    """What is to be tokenised, a chat with the template of a preset; raises InvalidParameter."""
    if body.messages is None:
        return (body.prompt if body.content is None else body.content) or ""
    if image_sources(body.messages):
        raise InvalidParameter("/messages", "The tokens of images cannot be shown.")
    variables = body.chat_template_kwargs
    messages, _ = await frame(domain_messages(body.messages, ()), SamplingOptions(), template)
    return Prompt(
        messages,
        tools=tuple(function_tools(body.tools)),
        template_variables=json.dumps(variables, ensure_ascii=False) if variables else "",
    )


def tokenized_text(found: Tokens, context_length: int, *, strings: bool) -> dict[str, Any]:
    """The tokens; a part of a character is shown as U+FFFD."""
    texts = [piece.decode("utf-8", "replace") for piece in found.pieces] if strings else None
    return {
        "count": len(found.tokens),
        "max_model_len": context_length,
        "tokens": list(found.tokens),
        "token_strs": texts,
    }
