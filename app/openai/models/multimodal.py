"""What ``/v1/multimodal`` takes and gives: pictures and texts as vectors in the same space."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from app.openai.models.base import Body
from app.openai.models.inputs import ImageTexts, InputTexts
from app.openai.models.sampling import ModelName
from app.openai.models.vision import RED

MODEL = Field(
    None,
    description="A model that encodes images and texts; left out, the server's default for it.",
)
TRUNCATE = Field(False, description="Cut texts that are too long, which are refused otherwise.")


class MultimodalBody(Body):
    """Pictures, texts or both."""

    model: ModelName | None = MODEL
    images: ImageTexts | None = Field(None, description="Base64 or data: URLs.")
    texts: InputTexts | None = None
    truncate: bool = TRUNCATE

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.images and not self.texts:
            raise ValueError("give images, texts or both")
        return self


class MatchBody(Body):
    """Pictures, and texts that may describe them."""

    model: ModelName | None = MODEL
    images: ImageTexts = Field(description="Base64 or data: URLs.")
    texts: InputTexts
    truncate: bool = TRUNCATE


class MultimodalEmbeddings(BaseModel):
    """The vectors, in the order of the pictures and texts."""

    model: str
    image_embeddings: list[list[float]] | None = Field(description="null: no images were sent.")
    text_embeddings: list[list[float]] | None = Field(description="null: no texts were sent.")
    dimensions: int = Field(description="Numbers of each vector.")


class Matches(BaseModel):
    """How well each text describes each picture."""

    model: str
    similarity_matrix: list[list[float]] = Field(
        description="The cosine of each image (rows) with each text (columns)."
    )
    shape: list[int] = Field(description="Rows and columns.")
    probabilities: list[list[float]] | None = Field(
        description="With the model's own scale and bias; null where its files do not say them."
    )
    rule: Literal["softmax", "sigmoid"] | None = Field(
        description="`softmax`: those of one image together are 1. `sigmoid`: each is by itself."
    )
    dimensions: int


ENCODE_EXAMPLES: dict[str, Any] = {
    "both": {
        "summary": "A picture and two texts",
        "value": {"images": [RED], "texts": ["a red square", "a blue circle"]},
    },
    "texts": {"summary": "A text alone", "value": {"texts": ["a red square"]}},
}
MATCH_EXAMPLES: dict[str, Any] = {
    "match": {
        "summary": "Which text describes the picture?",
        "value": {"images": [RED], "texts": ["a red square", "a blue circle"]},
    }
}
"""Bodies that work as they are."""
