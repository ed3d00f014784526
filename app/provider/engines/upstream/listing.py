"""The models that a server lists, as cards: for declarations that name none of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast, get_args

from app.provider.card import EncoderFacts, ModelCard, Task, Vision
from app.provider.engines.upstream.client import Client
from app.provider.engines.upstream.probe import listed_models
from app.provider.engines.upstream.refusals import unavailable
from app.provider.remote import RemoteModel

MOST_MODELS = 1_000
LONGEST_NAME = 300
LIST_SECONDS = 10.0

_TASKS = frozenset(get_args(Task))


def list_cards(card: ModelCard, remote: RemoteModel) -> list[ModelCard]:
    """A card like ``card`` for each model that the server lists; raises ProviderError."""
    return asyncio.run(_list_cards(card, remote))


async def _list_cards(card: ModelCard, remote: RemoteModel) -> list[ModelCard]:
    client = Client(remote)
    try:
        async with asyncio.timeout(LIST_SECONDS):
            entries = await listed_models(client)
    except TimeoutError:
        what = f"did not list its models within {LIST_SECONDS:g} s"
        raise unavailable(remote.server, what) from None
    finally:
        await client.close()
    return [_card(card, entry) for entry in entries[:MOST_MODELS] if _is_model(entry)]


def _is_model(entry: dict[str, Any]) -> bool:
    """Whether an entry is a model there, and not one with a template or of a further server."""
    name = entry.get("id")
    named = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable()
    return named and not entry.get("prompt_template") and entry.get("engine") != "upstream"


def _card(card: ModelCard, entry: dict[str, Any]) -> ModelCard:
    assert card.remote  # noqa: S101 — callers have one
    name, tasks = str(entry["id"]), _tasks(card, entry)
    length = next(
        (
            number
            for field in ("context_length", "max_model_len")
            if isinstance(number := entry.get(field), int) and 0 < number < 2**31
        ),
        card.context_length,
    )
    chats = "chat" in tasks
    return replace(
        card,
        id=name,
        tasks=tasks,
        context_length=length,
        vision=Vision() if chats and "vision" in tasks else None,
        encoder=None if chats else EncoderFacts(dimensions=1 if "rerank" in tasks else 0),
        remote=replace(card.remote, model=name, tasks=tasks),
        problem=None,
    )


def _tasks(card: ModelCard, entry: dict[str, Any]) -> tuple[Task, ...]:
    """What the model can do: as a server of ours says, else as its name lets expect."""
    stated = entry.get("tasks")
    if isinstance(stated, list) and stated and _TASKS.issuperset(map(str, stated)):
        return cast("tuple[Task, ...]", tuple(stated))
    name = str(entry["id"]).lower()
    if "rerank" in name:
        return ("rerank",)
    return ("embedding",) if "embed" in name else card.tasks
