"""Counts the tokens of a chat request without answering it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.chat.request import TurnRequest
from app.conversations.context_window import build_window, require_vision
from app.conversations.services import ConversationServices
from app.conversations.start import ResolvedRequest, resolve_target
from app.conversations.store import tree, turns
from app.conversations.store.tree import HistoryMessage
from app.conversations.store.truncation import WindowStart
from app.conversations.target import GenerationTarget
from app.provider.types import Size


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens of the model's context a request would take."""

    model: str
    size: Size


async def count_tokens(
    services: ConversationServices, owner: str, resolved: ResolvedRequest
) -> TokenCount:
    """Count what the model would read; raises what ``start.ask`` raises."""
    images = resolved.images
    target = await resolve_target(services, owner, resolved)
    history = await _history(services, target, resolved.request, len(images))
    question = HistoryMessage("", "user", target.question, images)
    require_vision(target, [*history, question])
    window = await build_window(target, [*history, question], WindowStart())
    return TokenCount(target.model.id, window.size)


async def _history(
    services: ConversationServices, target: GenerationTarget, request: TurnRequest, images: int
) -> list[HistoryMessage]:
    """The messages before the question, with as many images as its own ones leave room for."""
    if not request.conversation_id:
        return [HistoryMessage.of(each) for each in request.history]
    room = max(0, target.max_images - images)
    return await services.database.read(_stored_history, target.owner, request, room)


def _stored_history(
    session: Session, owner: str, request: TurnRequest, most_images: int
) -> list[HistoryMessage]:
    history = turns.history_before(session, owner, request)
    return tree.with_images(session, request.conversation_id or "", history, most_images)
