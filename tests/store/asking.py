"""Makes turns without a server and reads them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from app.conversations.services import ConversationServices
from app.conversations.start import ask
from app.conversations.turn import Turn
from app.provider.types import Delta, Event
from app.v4.models.chat import ChatRequest
from app.v4.services.translate import turn_request

OWNER = "tester"


async def asked(services: ConversationServices, message: str, **options: Any) -> Turn:
    return await ask(services, OWNER, turn_request(ChatRequest(message=message, **options)))


def ids(turn: Turn) -> tuple[str, str]:
    """Names of the conversation and of the answer."""
    return turn.target.conversation_id, turn.target.answer_id


async def read(events: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in events]


async def until_text(events: AsyncGenerator[Event, None]) -> None:
    """Read up to the first word."""
    async for event in events:
        if isinstance(event, Delta):
            return
    raise AssertionError("there was no text")
