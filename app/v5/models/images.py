"""Pictures on the wire: as clients send them, as they are kept, as a model sees them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.media.given import GivenImage
from app.web.schema import Plain, WireModel

Note = Annotated[Plain, Field(max_length=20_000)]


class SentImage(GivenImage):
    """A picture of the question: its file in base64, or where it is.

    What other programs found in it helps models that were trained with such notes (HyperCLOVA X).
    """

    ocr: Note = Field("", description="Text that stands in the picture.")
    lens_keywords: Note = Field("", description="What the picture shows, in words.")
    lens_local_keywords: Note = Field("", description="The same with places in the picture.")


class OriginalImage(WireModel):
    """The file that was sent. It is not kept, nor what it told beside the picture."""

    mime: str
    width: int = Field(description="Pixels, before the picture was turned upright.")
    height: int
    bytes: int


class StoredImage(WireModel):
    """A picture as it is kept: a PNG without metadata, upright, scaled to MAX_IMAGE_SIDE."""

    sha256: str = Field(
        description="Of the PNG; GET /conversations/{conversation_id}/images/{sha256} gives it."
    )
    width: int
    height: int
    size_bytes: int = Field(description="Of the PNG.")
    original: OriginalImage
    ocr: str
    lens_keywords: str
    lens_local_keywords: str


class SeenImage(WireModel):
    """A picture as the model saw it: scaled to so many pixels, as so many tokens of the prompt."""

    sha256: str
    width: int
    height: int
    tokens: int


class SeenSize(WireModel):
    """What the model saw of a picture."""

    width: int
    height: int
    tokens: int


class AskedImage(StoredImage):
    """A picture of the question."""

    seen: SeenSize | None = Field(
        description="In pixels and tokens; null where the answer was stopped before it began."
    )


class ConversationImage(StoredImage):
    """A picture and the question it belongs to."""

    message_id: str


class ImagePage(WireModel):
    """Pictures of a conversation, in the order of asking, those of all branches."""

    images: list[ConversationImage]
    next_cursor: str | None = Field(description="For the next page; null: this is the last.")
