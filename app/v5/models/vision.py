"""What ``/vision/info`` gives."""

from __future__ import annotations

from pydantic import Field

from app.web.schema import WireModel


class VisionModel(WireModel):
    """A model that sees, and what it takes. null: not known before it is loaded."""

    id: str
    name: str
    state: str = Field(
        description="As in GET /models; an unusable one is damaged.", examples=["unloaded", "ready"]
    )
    max_images: int = Field(description="Of one prompt, those of earlier questions included.")
    max_pixels: int | None = Field(description="A larger picture is scaled down to this.")
    min_tokens: int | None = Field(description="Of the prompt that a picture becomes at least.")
    max_tokens: int | None = Field(description="And at most.")
    video: bool = Field(description="Whether the model takes video; this version takes none in.")
    notice: str | None = Field(description="What its licence wants users to be shown.")
    problem: str | None = Field(description="Why it cannot be loaded.")


class ImageRules(WireModel):
    """What pictures may be like, whichever model sees them."""

    mime_types: list[str]
    max_images: int = Field(description="In one request.")
    max_bytes: int = Field(description="Of one file.")
    max_pixels: int = Field(description="Of one file.")
    max_side: int | None = Field(
        description="A picture with a longer side is scaled down to it; null: none is."
    )
    max_request_bytes: int = Field(description="Of the whole body; base64 takes a third more.")
    urls: bool = Field(description="Whether pictures are fetched by `url`; `data:` always works.")


class VisionInfo(WireModel):
    """The models that see, and what may be sent to them."""

    default_model: str | None = Field(
        description="The model of /vision/chat where none is named; null: there is none."
    )
    models: list[VisionModel]
    images: ImageRules
