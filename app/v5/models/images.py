"""Pictures on the wire: as clients send them, as they are kept, as a model sees them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.media.image_source import Detail, ImageSource
from app.web.schema import Plain, WireModel

Note = Annotated[Plain, Field(max_length=20_000)]


class SentImage(BaseModel):
    """A picture of the question: its file in base64, or where it is.

    What other programs found in it helps models that were trained with such notes (HyperCLOVA X).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base64: str | None = Field(None, description="The file in base64, or as a data: URL.")
    url: str | None = Field(
        None, description="Where the file is (http, https); a data: URL is read as `base64`."
    )
    mime: str | None = Field(
        None, max_length=100, description="The file's type, to be checked against its content."
    )
    detail: Detail = Field("auto", description="`low`: scaled down to 512 pixels.")
    ocr: Note = Field("", description="Text that stands in the picture.")
    lens_keywords: Note = Field("", description="What the picture shows, in words.")
    lens_local_keywords: Note = Field("", description="The same with places in the picture.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.base64 is None) == (self.url is None):
            raise ValueError("give either base64 or url")
        return self

    def source(self) -> ImageSource:
        """The picture as the domain takes it."""
        return ImageSource(self.base64, self.url, self.mime, self.detail)


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
