"""Images of a request: which model is asked, and the images as it takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.chat.completion import find_chat_model
from app.conversations.errors import ModelCannotSee, NoVisionModel
from app.media.errors import TooManyImages
from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.media.picture import Picture
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.provider.types import ImagePart


async def find_model(pool: ModelPool, model: str | None, *, sees: bool) -> ModelCard:
    """The model that is to answer; without a name the default one, ``sees``: that takes images.

    Raises what ``find_chat_model`` raises, ModelCannotSee and NoVisionModel.
    """
    card = await find_chat_model(pool, model)
    if not sees or card.vision is not None:
        return card
    if model is not None:
        raise ModelCannotSee(card.id, pool.vision_models())
    found = await pool.find_vision()
    if found is None:
        raise NoVisionModel
    return found


async def decode_images(
    intake: Intake, sources: Sequence[ImageSource]
) -> Mapping[ImageSource, ImagePart]:
    """The images by their sources, each decoded once; raises what ``Intake.take_all`` raises."""
    if len(sources) > intake.policy.max_images:
        raise TooManyImages(len(sources), intake.policy.max_images)
    different = list(dict.fromkeys(sources))
    pictures = await intake.take_all(different)
    return {source: _part(one) for source, one in zip(different, pictures, strict=True)}


def _part(picture: Picture) -> ImagePart:
    return ImagePart(
        picture.content,
        picture.sha256,
        picture.width,
        picture.height,
        picture.original_mime,
    )
