"""Stops the running answer of a conversation, whichever server makes it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from app.conversations.services import ConversationServices
from app.conversations.store import turns

WAIT_SECONDS = 5.0
"""Seconds to wait until the answer has been stored as stopped."""


@dataclass(frozen=True, slots=True)
class StoppedAnswer:
    """The answer that was stopped, and its status; None if none was running."""

    message_id: str | None = None
    status: str | None = None


async def stop(services: ConversationServices, owner: str, conversation_id: str) -> StoppedAnswer:
    """Stop the running answer and wait until it is stored; raises ConversationNotFound."""
    answer_id = await services.database.write(turns.request_stop, owner, conversation_id)
    if answer_id is None:
        return StoppedAnswer()
    services.heartbeat.stop(answer_id)
    deadline = time.monotonic() + WAIT_SECONDS
    while (
        status := await services.database.read(turns.answer_status, conversation_id, answer_id)
    ) == "generating":
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)
    return StoppedAnswer(answer_id, status)
