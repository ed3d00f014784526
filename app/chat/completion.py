"""Makes a prompt of a chat request, and a whole answer of a stream of events."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from app.chat.answer_content import AnswerContent
from app.chat.request import ChatRequest
from app.errors import InvalidRequest
from app.provider.card import ModelCard
from app.provider.errors import EngineUnavailable, UnsupportedInput
from app.provider.pool.pool import ModelPool
from app.provider.types import (
    AnyDelta,
    Delta,
    End,
    Event,
    Message,
    Prompt,
    Started,
    ThinkingDelta,
    Token,
    ToolCallPart,
)


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: its text, without text that turned out to be thinking, and its end.

    ``thinking`` is as much of it as came. ``tokens`` are those of the answer and
    ``thinking_tokens`` those of the thinking, if the prompt asked for tokens. ``started`` is what
    the engine said of the prompt; None where the stream began later.
    """

    text: str
    end: End
    thinking: str = ""
    tokens: tuple[Token, ...] = ()
    thinking_tokens: tuple[Token, ...] = ()
    tool_calls: tuple[ToolCallPart, ...] = ()
    started: Started | None = None


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
    answer = _Pieces()
    async with aclosing(events):
        async for event in events:
            if isinstance(event, End):
                return answer.completion(event)
            answer.add(event)
    raise EngineUnavailable("The answer broke off.", 1.0)


class _Pieces:
    """The pieces of an answer that is being collected."""

    def __init__(self) -> None:
        self._content = AnswerContent()
        self._tokens: list[Token] = []
        self._thinking_tokens: list[Token] = []
        self._started: Started | None = None
        self._retracted = 0

    def add(self, event: Event) -> None:
        """Add what the event carries."""
        if isinstance(event, Started):
            self._started = event
        elif isinstance(event, AnyDelta):
            self._add_tokens(event)
            self._content.add(event)

    def _add_tokens(self, event: AnyDelta) -> None:
        if isinstance(event, Delta):
            self._retract(event.retracted)
        tokens = self._thinking_tokens if isinstance(event, ThinkingDelta) else self._tokens
        tokens += event.tokens

    def completion(self, end: End) -> Completion:
        """The whole answer."""
        self._retract(end.retracted)
        self._content.retracted = end.retracted
        return Completion(
            self._content.text,
            end,
            self._content.thinking,
            tuple(self._tokens),
            tuple(self._thinking_tokens),
            self._content.tool_calls,
            self._started,
        )

    def _retract(self, characters: int) -> None:
        """When more of the text turns out to be thinking, so do the tokens so far."""
        if characters > self._retracted:
            self._retracted = characters
            self._thinking_tokens += self._tokens
            self._tokens = []
