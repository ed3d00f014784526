"""What ``/v1/vision`` takes and gives: pictures as vectors, and how alike two are."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from app.openai.models.base import Body
from app.openai.models.inputs import ImageText, ImageTexts
from app.openai.models.sampling import ModelName

MODEL = Field(
    None, description="A model that encodes images; left out, the server's default for it."
)


class ImagesBody(Body):
    """Pictures, of each of which a vector is made."""

    model: ModelName | None = MODEL
    images: ImageTexts = Field(
        description="At most MAX_IMAGES: base64, data: URLs, or addresses where IMAGE_URLS is on."
    )


class SimilarityBody(Body):
    """Two pictures to compare."""

    model: ModelName | None = MODEL
    image1: ImageText = Field(description="Base64 or a data: URL.")
    image2: ImageText = Field(description="The same.")


class ImageEmbeddings(BaseModel):
    """The vectors of all pictures, in their order."""

    model: str
    embeddings: list[list[float]] = Field(description="Each has the length 1.")
    dimensions: int = Field(description="Numbers of each vector.")


class Similarity(BaseModel):
    """How alike two pictures are, and their vectors."""

    model: str
    similarity: float = Field(description="The cosine, or 0 where that is negative.")
    image1_features: list[float]
    image2_features: list[float]
    dimensions: int
    feature_dimensions: int = Field(description="Another name of `dimensions`.")
    processing_time: float = Field(description="Seconds.")


class VisionCapabilities(BaseModel):
    """What a model does with pictures."""

    image_encoding: bool
    image_similarity: bool
    text_encoding: bool
    image_text_matching: bool


class VisionEncoder(BaseModel):
    """A model that encodes pictures."""

    id: str
    object: Literal["model"]
    type: Literal["vision", "multimodal"]
    dimensions: int = Field(description="0: not known before the model is loaded.")
    capabilities: VisionCapabilities


class VisionEncoderList(BaseModel):
    """All models that encode pictures."""

    object: Literal["list"]
    data: list[VisionEncoder]


_PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAA"
RED = _PNG + "FklEQVR42mP8z0AaYGIY1TCqYdhqAABALgEfFO4+AgAAAABJRU5ErkJggg=="
_BLUE = _PNG + "GklEQVR42mNkYPjPQApgYiARjGoY1TB0NAAAPjABHxw3M2AAAAAASUVORK5CYII="

ENCODE_EXAMPLES: dict[str, Any] = {
    "image": {"summary": "A red square", "value": {"images": [RED]}},
}
SIMILARITY_EXAMPLES: dict[str, Any] = {
    "same": {"summary": "A picture and itself", "value": {"image1": RED, "image2": RED}},
    "two": {"summary": "A red and a blue square", "value": {"image1": RED, "image2": _BLUE}},
}
"""Bodies that work as they are."""
