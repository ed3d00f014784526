"""Questions with pictures: which model sees them, and the turn that they begin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.conversations.errors import ModelCannotSee, NoVisionModel
from app.conversations.services import Desk
from app.conversations.start import ask, setup_of
from app.conversations.store.images import Attached
from app.conversations.turn import Turn
from app.media.image_source import Detail
from app.media.intake import Intake
from app.media.picture import Upload
from app.provider.card import ModelCard
from app.v5.models.chat import ChatRequest
from app.v5.services.images import taken


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was sent; ``detail`` is that of the uploads."""

    request: ChatRequest
    uploads: tuple[Upload, ...] = field(default=(), repr=False)
    detail: Detail = "auto"

    @property
    def has_images(self) -> bool:
        """Whether it brings pictures."""
        return bool(self.request.images or self.uploads)


Choice = Callable[[Desk, str, Asked], Awaitable[str | None]]
"""Desk, owner, question → the model to name; None: what the conversation or the server says."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a question with pictures needs of the server."""

    desk: Desk
    intake: Intake

    async def ask(self, owner: str, asked: Asked, choose: Choice) -> Turn:
        """A turn; nothing is stored before its events are read.

        Raises what ``v4.services.asking.ask`` and ``Intake.take_all`` raise, ModelCannotSee and
        NoVisionModel.
        """
        request, images = await self.prepared(owner, asked, choose)
        return await ask(self.desk, owner, request, images)

    async def prepared(
        self, owner: str, asked: Asked, choose: Choice
    ) -> tuple[ChatRequest, tuple[Attached, ...]]:
        """The request, with the model that was chosen, and its pictures; raises the same."""
        model = await choose(self.desk, owner, asked)  # a refusal here has cost nothing yet
        request = asked.request.model_copy(update={"model": model} if model else {})
        images = await taken(self.intake, request.images, asked.uploads, asked.detail)
        return request.model_copy(update={"images": []}), images


async def any_model(desk: Desk, owner: str, asked: Asked) -> str | None:
    """For ``/chat``: pictures without a named model go to one that sees.

    Raises ModelCannotSee, NoVisionModel, ModelNotFound, ConversationNotFound.
    """
    if not asked.has_images:
        return None
    if chosen := await _chosen(desk, owner, asked):
        _require_sight(desk, await desk.pool.find(chosen))
        return None
    card = await desk.pool.find(None)
    return card.id if card.vision else (await _default(desk)).id


async def seeing_model(desk: Desk, owner: str, asked: Asked) -> str | None:
    """For ``/vision/chat``: a model that sees, also where there is no picture yet; the same.

    A conversation that keeps to a model without eyes goes on with one that has them.
    """
    chosen = await _chosen(desk, owner, asked)
    if chosen is None:
        return (await _default(desk)).id
    card = await desk.pool.find(chosen)
    if card.vision:
        return None
    if asked.request.model:
        raise ModelCannotSee(card.id, desk.pool.seeing())
    return (await _default(desk)).id


async def _chosen(desk: Desk, owner: str, asked: Asked) -> str | None:
    """The model that the request names, or the conversation keeps to."""
    if asked.request.model:
        return asked.request.model
    return (await setup_of(desk, owner, asked.request.conversation_id)).model


def _require_sight(desk: Desk, card: ModelCard) -> ModelCard:
    if card.vision is None:
        raise ModelCannotSee(card.id, desk.pool.seeing())
    return card


async def _default(desk: Desk) -> ModelCard:
    card = await desk.pool.find_vision()
    if card is None:
        raise NoVisionModel
    return _require_sight(desk, card)
