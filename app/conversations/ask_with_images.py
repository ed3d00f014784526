"""Questions with images: which vision model is asked, and the turn that they begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from app.chat.request import TurnRequest
from app.conversations.errors import ModelCannotSee, NoVisionModel
from app.conversations.services import ConversationServices
from app.conversations.start import ResolvedRequest, begin_turn, resolve
from app.conversations.store.images import Attachment
from app.conversations.turn import Turn
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool

TakeImages = Callable[[], Awaitable[tuple[Attachment, ...]]]
"""Decodes the images of a question; None stands for a question without any."""


Choose = Callable[[ModelPool, str | None, bool], Awaitable["Choice"]]
"""Pool, the model that the request or the conversation names, whether there are images."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model, where it had to be looked up; ``instead``: of the one that was named, if any."""

    card: ModelCard | None = None
    instead: bool = False


async def ask_with_images(
    services: ConversationServices,
    owner: str,
    request: TurnRequest,
    take: TakeImages | None,
    choose: Choose,
) -> Turn:
    """A turn; nothing is stored before its events are read.

    Raises what ``start.ask`` and ``take`` raise, ModelCannotSee and NoVisionModel.
    """
    resolved = await resolve_with_images(services, owner, request, take, choose)
    return await begin_turn(services, owner, resolved)


async def resolve_with_images(
    services: ConversationServices,
    owner: str,
    request: TurnRequest,
    take: TakeImages | None,
    choose: Choose,
) -> ResolvedRequest:
    """Choose the model, then decode the images: a refusal of the model costs nothing."""
    resolved = await resolve(services, owner, request)
    named = request.model or resolved.kept.get("model")
    choice = await choose(services.pool, named, take is not None)
    if choice.card and choice.instead:
        request = replace(request, model=choice.card.id)
    images = await take() if take else ()
    return ResolvedRequest(request, resolved.kept, choice.card, images)


async def any_model(pool: ModelPool, named: str | None, has_images: bool) -> Choice:
    """For ``/chat``: images without a named model go to a vision model.

    Raises ModelCannotSee, NoVisionModel, ModelNotFound.
    """
    if not has_images:
        return Choice()
    card = await pool.find(named)
    if named:
        return Choice(_with_vision(pool, card))
    return Choice(card if card.vision else await _default_vision_model(pool), instead=True)


def vision_model(request: TurnRequest) -> Choose:
    """For ``/vision/chat``: a vision model, also where there is no image yet; raises the same.

    If the conversation's model is text-only, a vision model is used instead.
    """

    async def choose(pool: ModelPool, named: str | None, _: bool) -> Choice:
        if named is None:
            return Choice(await _default_vision_model(pool), instead=True)
        card = await pool.find(named)
        if card.vision or request.model:
            return Choice(_with_vision(pool, card))
        return Choice(await _default_vision_model(pool), instead=True)

    return choose


def _with_vision(pool: ModelPool, card: ModelCard) -> ModelCard:
    if card.vision is None:
        raise ModelCannotSee(card.id, pool.vision_models())
    return card


async def _default_vision_model(pool: ModelPool) -> ModelCard:
    card = await pool.find_vision()
    if card is None:
        raise NoVisionModel
    return _with_vision(pool, card)
