"""Pictures to encode: as clients name them, and decoded for the model that takes them."""

from __future__ import annotations

from collections.abc import Sequence

from app.chat.images import decode_images
from app.encoding.model_choice import find_encoder
from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.provider.card import Kind, ModelCard
from app.provider.pool.pool import ModelPool
from app.provider.types import ImagePart

_ADDRESSES = ("http://", "https://", "data:")


def image_source(text: str) -> ImageSource:
    """The picture that an address, a data: URL or base64 stands for."""
    if text[:8].lower().startswith(_ADDRESSES):
        return ImageSource(url=text)
    return ImageSource(base64=text)


async def find_and_decode(
    pool: ModelPool, intake: Intake, name: str | None, kind: Kind, sources: Sequence[ImageSource]
) -> tuple[ModelCard, list[ImagePart]]:
    """The model that encodes, found before any picture is decoded, and the pictures.

    Raises what ``find_encoder`` and ``decode_images`` raise.
    """
    card = await find_encoder(pool, name, kind)
    return card, await decode_images(intake, card, sources) if sources else []
