"""Makes a prompt of a chat request, and a whole answer of a stream of events."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from app.chat.request import ChatRequest
from app.errors import InvalidRequest
from app.provider.card import ModelCard
from app.provider.errors import EngineUnavailable, UnsupportedInput
from app.provider.pool.pool import ModelPool
from app.provider.types import Delta, End, Event, Message, Prompt


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: its text, without text that turned out to be thinking, and its end."""

    text: str
    end: End


async def find_chat_model(pool: ModelPool, model: str | None) -> ModelCard:
    """The model that is to answer; raises ModelNotFound, ModelConflict, UnsupportedInput.

    A model without any task passes: loading it fails and names the reason.
    """
    card = await pool.find(model)
    require_chat(card)
    return card


def require_chat(card: ModelCard) -> None:
    """Raise UnsupportedInput for a model of another kind."""
    if card.tasks and "chat" not in card.tasks:
        raise UnsupportedInput(f"{card.id} does not chat; it can: {', '.join(card.tasks)}.")


def build_prompt(request: ChatRequest, owner: str, longest_history: int) -> Prompt:
    """The prompt of a request that has no template, or whose template has been applied.

    Raises InvalidRequest for a history of more than ``longest_history`` messages.
    """
    require_history_length(request, longest_history)
    system = request.system if isinstance(request.system, str) else ""
    first = (Message.of("system", system),) if system else ()
    messages = (*first, *request.history, Message.of("user", request.message))
    return Prompt(messages, request.sampling.to_sampling(), owner)


def require_history_length(request: ChatRequest, longest: int) -> None:
    """Raise InvalidRequest if the history holds more than ``longest`` messages."""
    if len(request.history) > longest:
        raise InvalidRequest(
            "/history",
            f"The history holds {len(request.history)} messages; this server takes {longest} "
            "(the setting MAX_HISTORY_LENGTH).",
        )


def new_answer_id() -> str:
    """An id for an answer that is not stored."""
    return f"chat-{uuid.uuid4().hex}"


async def collect(events: AsyncGenerator[Event, None]) -> Completion:
    """Read a stream to its end; raises what the stream raises."""
    pieces: list[str] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                pieces.append(event.text)
            elif isinstance(event, End):
                return Completion("".join(pieces)[event.retracted :], event)
    raise EngineUnavailable("The answer broke off.", 1.0)
