"""Tools about the models themselves."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import Field

from app.chat.completion import find_chat_model
from app.mcp.call import Call
from app.mcp.tools.tool import Arguments, ModelName, Tool, ToolAnswer, Words, json_answer
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool


class ListModelsArguments(Arguments):
    """Of ``list_models``."""


class CountTokensArguments(Arguments):
    """Of ``count_tokens``."""

    text: Words = Field(description="What is counted.")
    model: ModelName = Field("", description="An id from list_models; empty: the default model.")


async def list_models(call: Call, _: ListModelsArguments) -> ToolAnswer:
    """List the models, what they can do, and whether they are loaded."""
    cards = await asyncio.to_thread(call.pool.cards)
    return json_answer({"models": [model_facts(call.pool, card) for card in cards]})


def model_facts(pool: ModelPool, card: ModelCard) -> dict[str, Any]:
    """What agents are shown of a model."""
    facts = {
        "id": card.id,
        "tasks": list(card.tasks),
        "context_length": card.context_length,
        "state": pool.state(card.id),
    }
    if card.preset:
        facts |= {"preset_of": card.preset.model.id, "description": card.preset.description}
    return facts | ({"problem": card.problem} if card.problem else {})


async def count_tokens(call: Call, asked: CountTokensArguments) -> ToolAnswer:
    """Count the tokens of a text, for the model."""
    card = await find_chat_model(call.pool, asked.model or None)
    found = await call.pool.tokenize(card, asked.text)
    return json_answer(
        {"model": card.id, "count": len(found.tokens), "max_model_len": card.context_length}
    )


TOOLS = (
    Tool(
        "list_models",
        "List models",
        "List the models on the user's machine: their ids, what they can do, how much they read.",
        ListModelsArguments,
        list_models,
    ),
    Tool(
        "count_tokens",
        "Count tokens",
        "Count the tokens that a text takes of a local model's context.",
        CountTokensArguments,
        count_tokens,
    ),
)
"""In the order in which they are listed."""
