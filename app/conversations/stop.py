"""Stops the answer that a conversation is being given, whichever server gives it."""

from __future__ import annotations

import asyncio
import time

from app.conversations.services import Desk
from app.conversations.store import turns
from app.conversations.store.turns import Ids
from app.v4.models.turns import Stopped

PATIENCE = 5.0
"""Seconds to wait for the maker of the answer to notice."""


async def stop(desk: Desk, owner: str, conversation_id: str) -> Stopped:
    """Stop it and wait until it is stored; raises ConversationNotFound."""
    answer = await desk.database.write(turns.ask_to_stop, owner, conversation_id)
    if answer is None:
        return Stopped(conversation_id=conversation_id, message_id=None, status=None)
    if bell := desk.bells.get(answer):
        bell.set()
    ids = Ids(conversation_id, "", answer)
    deadline = time.monotonic() + PATIENCE
    while (status := await desk.database.read(turns.status, ids)) == "generating":
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)
    return Stopped.model_validate(
        {"conversation_id": conversation_id, "message_id": answer, "status": status}
    )
