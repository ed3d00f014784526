"""Questions with images: which model is asked, and the turn that they begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from app.chat.request import TurnRequest
from app.conversations.errors import ModelCannotSee, NoVisionModel
from app.conversations.services import ConversationServices
from app.conversations.start import ResolvedRequest, begin_turn, resolve
from app.conversations.store.images import Attachment
from app.conversations.turn import Turn
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool

DecodeImages = Callable[[], Awaitable[tuple[Attachment, ...]]]
"""Decodes the images of a question; None stands for a question without any."""


async def ask_with_images(
    services: ConversationServices,
    owner: str,
    request: TurnRequest,
    decode: DecodeImages | None,
    *,
    vision_only: bool = False,
) -> Turn:
    """A turn; nothing is stored before its events are read.

    Raises what ``start.ask`` and ``decode`` raise, ModelCannotSee and NoVisionModel.
    """
    resolved = await resolve_with_images(services, owner, request, decode, vision_only=vision_only)
    return await begin_turn(services, owner, resolved)


async def resolve_with_images(
    services: ConversationServices,
    owner: str,
    request: TurnRequest,
    decode: DecodeImages | None,
    *,
    vision_only: bool = False,
) -> ResolvedRequest:
    """Choose the model, then decode the images: a refused model costs no decoding.

    Without ``vision_only``, a question without images may go to a text-only model.
    """
    resolved = await resolve(services, owner, request)
    if decode is None and not vision_only:
        return resolved
    stored_model = resolved.defaults.get("model")
    request, card = await _choose_model(services.pool, request, stored_model, vision_only)
    images = await decode() if decode else ()
    return replace(resolved, request=request, card=card, images=images)


async def _choose_model(
    pool: ModelPool, request: TurnRequest, stored_model: str | None, vision_only: bool
) -> tuple[TurnRequest, ModelCard]:
    """The vision model to ask, and the request, which names it if the server chose it.

    With ``vision_only``, a text-only model of the conversation is replaced by a vision model.
    """
    named = request.model or stored_model
    if named is None:
        card = await _unnamed_model(pool, vision_only)
        return replace(request, model=card.id), card
    card = await pool.find(named)
    if card.vision is None and vision_only and request.model is None:
        card = await _default_vision_model(pool)
        return replace(request, model=card.id), card
    return request, _require_vision(pool, card)


async def _unnamed_model(pool: ModelPool, vision_only: bool) -> ModelCard:
    """The default model if it takes images, else the default vision model."""
    if not vision_only:
        card = await pool.find(None)
        if card.vision is not None:
            return card
    return await _default_vision_model(pool)


async def _default_vision_model(pool: ModelPool) -> ModelCard:
    card = await pool.find_vision()
    if card is None:
        raise NoVisionModel
    return _require_vision(pool, card)


def _require_vision(pool: ModelPool, card: ModelCard) -> ModelCard:
    if card.vision is None:
        raise ModelCannotSee(card.id, pool.vision_models())
    return card
