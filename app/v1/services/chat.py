"""From a chat request to a prompt, and from a stream of events to a whole answer."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict

from app.errors import InvalidRequest
from app.provider.errors import EngineUnavailable, UnsupportedInput
from app.provider.pool import ModelPool
from app.provider.types import Delta, End, Event, Message, Prompt, Sampling
from app.v1.models.chat import AnswerMessage, ChatAnswer, ChatRequest, SamplingFields, Usage


def chat_model(pool: ModelPool, model: str | None) -> str:
    """The id of the model that shall answer; raises ModelNotFound, UnsupportedInput."""
    card = pool.card(model)
    if "chat" not in card.tasks:
        raise UnsupportedInput(f"{card.id} does not chat; it can: {', '.join(card.tasks)}.")
    return card.id


def prompt_of(request: ChatRequest, owner: str, longest_history: int) -> Prompt:
    """Everything the engine needs of a request; raises InvalidRequest for too long a history."""
    if len(request.history) > longest_history:
        told = f"holds {len(request.history)} messages; this server takes {longest_history}"
        raise InvalidRequest("/history", f"The history {told} (the setting MAX_HISTORY_LENGTH).")
    system = [Message.of("system", request.system)] if request.system else []
    earlier = [Message.of(turn.role, turn.content) for turn in request.history]
    messages = (*system, *earlier, Message.of("user", request.message))
    return Prompt(messages, _sampling(request), owner)


def _sampling(fields: SamplingFields) -> Sampling:
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


async def whole_answer(model: str, events: AsyncGenerator[Event, None]) -> ChatAnswer:
    """Collect a stream; raises what the stream raises."""
    pieces: list[str] = []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                pieces.append(event.text)
            elif isinstance(event, End):
                return _answer(model, "".join(pieces), event)
    raise EngineUnavailable("The answer broke off.", 1.0)


def _answer(model: str, text: str, end: End) -> ChatAnswer:
    return ChatAnswer(
        id=new_id(),
        model=model,
        message=AnswerMessage(content=text),
        finish_reason=end.reason,
        usage=Usage(**asdict(end.usage)),
    )
