"""Completion of arguments while a user types them: names of models, templates and documents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import mcp_types as types

from app.conversations.store import listing
from app.mcp.call import Call, Context
from app.mcp.prompts import template_bodies
from app.reference.documents import Documents

MOST = 100
"""Values of one answer, by the specification."""


class Completer:
    """Completes by the name of the argument; ``documents`` are the API documents."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def complete(
        self, ctx: Context, params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        """Names that begin with what has been typed."""
        typed = params.argument.value.casefold()
        names = await self._names(Call.of(ctx), params.argument.name)
        found = [name for name in names if name.casefold().startswith(typed)]
        return types.CompleteResult(
            completion=types.Completion(
                values=found[:MOST], total=len(found), has_more=len(found) > MOST
            )
        )

    async def _names(self, call: Call, argument: str) -> Iterable[str]:
        match argument:
            case "model":
                return [card.id for card in await asyncio.to_thread(call.pool.cards)]
            case "template":
                return [body["name"] for body in await template_bodies(call, 10 * MOST)]
            case "document":
                return [f"{name}.json" for name in self._documents]
            case "conversation_id":
                heads = await call.database.read(
                    listing.list_conversations, call.owner, 10 * MOST, None
                )
                return [head.id for head in heads]
            case _:
                return ()
