"""Images of a request that nothing of is stored: decoded, as parts of messages."""

from __future__ import annotations

from collections.abc import Sequence

from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.media.picture import Picture
from app.provider.card import ModelCard
from app.provider.errors import UnsupportedInput
from app.provider.types import ImagePart


async def decode_images(
    intake: Intake, model: ModelCard, sources: Sequence[ImageSource]
) -> list[ImagePart]:
    """The images, in order; raises UnsupportedInput and what ``Intake.take_all`` raises."""
    most = model.vision.max_images if model.vision else 0
    if most and len(sources) > most:
        raise UnsupportedInput(f"{model.id} takes {most} images, not {len(sources)}.")
    return [_part(picture) for picture in await intake.take_all(sources)]


def _part(picture: Picture) -> ImagePart:
    return ImagePart(
        picture.content, picture.sha256, picture.width, picture.height, picture.original_mime
    )
