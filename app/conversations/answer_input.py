"""Turns that answer messages of any kind, kept or not, in place of one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from app.chat.request import AnswerOptions, Overflow
from app.conversations.context_window import build_window, max_images, require_vision
from app.conversations.services import ConversationServices
from app.conversations.store import input_turns, tree
from app.conversations.store.input_turns import Base, Input
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.truncation import WindowStart
from app.conversations.target import GenerationTarget
from app.conversations.turn import Turn
from app.conversations.unstored_turn import UnstoredTurn, nothing_before
from app.provider.card import ModelCard
from app.provider.types import Message, Sampling, Size
from app.storage.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """Messages to answer, what they follow, and how they are answered.

    ``system`` holds for this answer alone. ``defaults`` are those that a new conversation gets.
    ``request`` is what the request said, to be kept with the answer.
    """

    owner: str
    model: ModelCard
    messages: tuple[Message, ...]
    base: Base | None
    system: str | None
    sampling: Sampling
    options: AnswerOptions
    overflow: Overflow
    defaults: Mapping[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)


def stored_turn(services: ConversationServices, asked: InputRequest) -> Turn:
    """A turn that is kept; nothing is stored before its events are read.

    It waits while another answer of the conversation is made.
    """
    target = _target(services, asked)
    given = Input(asked.messages, asked.base, asked.request)
    begin = partial(input_turns.begin, given=given, target=target)
    return Turn(services, target, asked.overflow, True, begin)


def unstored_turn(services: ConversationServices, asked: InputRequest) -> UnstoredTurn:
    """A turn of which nothing is kept."""
    target, base = _target(services, asked), asked.base
    begin = partial(_history, owner=asked.owner, base=base) if base else nothing_before
    return UnstoredTurn(services, target, asked.overflow, False, begin, messages=asked.messages)


def _history(session: Session, owner: str, base: Base) -> list[HistoryMessage]:
    return input_turns.history_of(session, owner, base)


async def count_input(services: ConversationServices, asked: InputRequest) -> Size:
    """Count what the model would read; stores nothing. Raises what the turn raises."""
    target, base = _target(services, asked), asked.base
    history = [HistoryMessage.of(message) for message in asked.messages]
    if base:
        history = [*await services.database.read(_shown_history, target, base), *history]
    require_vision(target, history)
    return (await build_window(target, history, WindowStart())).size


def _shown_history(session: Session, target: GenerationTarget, base: Base) -> list[HistoryMessage]:
    history = input_turns.history_of(session, target.owner, base)
    return tree.with_images(session, base.conversation_id, history, target.max_images)


def _target(services: ConversationServices, asked: InputRequest) -> GenerationTarget:
    return GenerationTarget(
        owner=asked.owner,
        pool=services.pool,
        model=asked.model,
        system=asked.system,
        question="",
        sampling=asked.sampling,
        template=None,
        changed_defaults=dict(asked.defaults) if asked.base is None else {},
        answer_tokens=asked.sampling.max_tokens or services.answer_tokens,
        max_messages=services.max_messages,
        max_images=max_images(asked.model, services.max_images),
        conversation_id=asked.base.conversation_id if asked.base else new_id(),
        options=asked.options,
    )
