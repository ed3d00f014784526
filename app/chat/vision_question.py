"""What the HyperCLOVA X tool server asks, of which model: for ``/tool`` and for MCP."""

from __future__ import annotations

from dataclasses import dataclass

from app.chat.completion import find_chat_model
from app.chat.images import decode_images
from app.conversations.errors import NoVisionModel
from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.provider.architectures.hyperclovax.config import MODEL_TYPE
from app.provider.card import ModelCard
from app.provider.pool.default_model import VISION_STARTER
from app.provider.pool.pool import ModelPool
from app.provider.types import Message, Prompt, Sampling, TextPart

SYSTEM = "You are a helpful assistant."
SAMPLING = Sampling(temperature=0.5, top_p=0.6, max_tokens=8192)
"""Of the tool server."""


async def find_model(pool: ModelPool, *, images: bool) -> ModelCard:
    """A HyperCLOVA X model with vision, else the default vision model, else one that chats.

    A starter never stands in the way of a model that the user has brought. Raises NoVisionModel
    for a question with a picture, ModelNotFound, ModelConflict.
    """
    default, ours = await pool.find_vision(), await pool.find_vision(MODEL_TYPE)
    if default is not None and default.architecture == MODEL_TYPE:
        return default
    if ours is not None and (default is None or not _is_starter(ours) or _is_starter(default)):
        return ours
    if default is not None:
        return default
    if images:
        raise NoVisionModel
    return await find_chat_model(pool, None)


def _is_starter(card: ModelCard) -> bool:
    return card.id.startswith(VISION_STARTER)


@dataclass(frozen=True, slots=True)
class VisionQuestion:
    """A question; ``picture`` is base64 or a data: URL, empty where there is none."""

    text: str
    picture: str = ""
    sampling: Sampling = SAMPLING


async def vision_prompt(
    asked: VisionQuestion, intake: Intake, card: ModelCard, owner: str
) -> Prompt:
    """What the model is asked; raises what ``Intake.take_all`` raises."""
    sources = [ImageSource(base64=asked.picture)] if asked.picture else []
    images = await decode_images(intake, card, sources)
    message = Message("user", (*images, TextPart(asked.text)))
    return Prompt((Message.of("system", SYSTEM), message), asked.sampling, owner)
