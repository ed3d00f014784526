"""From a chat request to a prompt, and from a stream of events to a whole answer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import cast

from app.errors import InvalidRequest
from app.provider.errors import EngineUnavailable, UnsupportedInput
from app.provider.pool.pool import ModelPool
from app.provider.types import Delta, End, Event, Message, Prompt, Sampling
from app.v1.models.chat import (
    AnswerMessage,
    ChatAnswer,
    ChatRequest,
    FinishReason,
    Question,
    SamplingFields,
    Usage,
)


async def chat_model(pool: ModelPool, model: str | None) -> str:
    """The id of the model that shall answer; raises ModelNotFound, UnsupportedInput.

    One that can do nothing is refused when it is to be loaded, with the reason.
    """
    card = await pool.find(model)
    if card.tasks and "chat" not in card.tasks:
        raise UnsupportedInput(f"{card.id} does not chat; it can: {', '.join(card.tasks)}.")
    return card.id


def prompt_of(request: ChatRequest, owner: str, longest_history: int) -> Prompt:
    """Everything the engine needs of a request; raises InvalidRequest for too long a history."""
    earlier = earlier_turns(request, longest_history)
    messages = conversation(request.system, earlier, request.message)
    return Prompt(messages, sampling_of(request), owner)


def earlier_turns(question: Question, longest: int) -> list[Message]:
    """The history as messages; raises InvalidRequest when it holds more than ``longest``."""
    if len(question.history) > longest:
        told = f"holds {len(question.history)} messages; this server takes {longest}"
        raise InvalidRequest("/history", f"The history {told} (the setting MAX_HISTORY_LENGTH).")
    return [Message.of(turn.role, turn.content) for turn in question.history]


def conversation(system: str | None, earlier: Sequence[Message], user: str) -> tuple[Message, ...]:
    """All that the model reads, in its order; an empty system text is none."""
    first = [Message.of("system", system)] if system else []
    return (*first, *earlier, Message.of("user", user))


def sampling_of(fields: SamplingFields) -> Sampling:
    """The same as the engine knows it."""
    return Sampling(
        temperature=fields.temperature,
        top_k=fields.top_k,
        top_p=fields.top_p,
        min_p=fields.min_p,
        repeat_penalty=fields.repeat_penalty,
        presence_penalty=fields.presence_penalty,
        frequency_penalty=fields.frequency_penalty,
        seed=fields.seed,
        max_tokens=fields.max_tokens,
        stop=tuple(fields.stop),
    )


def new_id() -> str:
    """A name for one answer."""
    return f"chat-{uuid.uuid4().hex}"


async def collected(events: AsyncGenerator[Event, None]) -> tuple[str, End]:
    """The text of a whole answer and its end; raises what the stream raises."""
    pieces: list[str] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                pieces.append(event.text)
            elif isinstance(event, End):
                return "".join(pieces)[event.retracted :], event
    raise EngineUnavailable("The answer broke off.", 1.0)


async def whole_answer(model: str, events: AsyncGenerator[Event, None]) -> ChatAnswer:
    """Collect a stream; raises what the stream raises."""
    text, end = await collected(events)
    return ChatAnswer(
        id=new_id(),
        model=model,
        message=AnswerMessage(content=text),
        finish_reason=cast("FinishReason", end.reason),  # engines never cancel by themselves
        usage=Usage(**asdict(end.usage)),
    )
