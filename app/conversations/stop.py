"""Stops the answer that a conversation is being given, whichever server makes it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from app.conversations.services import ConversationServices
from app.conversations.store import turns

WAIT_SECONDS = 5.0
"""Seconds to wait for the maker of the answer to notice."""


@dataclass(frozen=True, slots=True)
class StoppedAnswer:
    """The answer that was to be stopped, and its status now; None where none was being made."""

    message_id: str | None = None
    status: str | None = None


async def stop(services: ConversationServices, owner: str, conversation_id: str) -> StoppedAnswer:
    """Stop the running answer and wait until it is stored; raises ConversationNotFound."""
    answer_id = await services.database.write(turns.request_stop, owner, conversation_id)
    if answer_id is None:
        return StoppedAnswer()
    if signal := services.stop_signals.get(answer_id):
        signal.set()
    deadline = time.monotonic() + WAIT_SECONDS
    while (
        status := await services.database.read(turns.answer_status, conversation_id, answer_id)
    ) == "generating":
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)
    return StoppedAnswer(answer_id, status)
