"""What ``/v1/embed`` and ``/v2/embed`` take and give, in the form of Cohere's API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from app.encoding.vectors import Encoding
from app.openai.models.base import Body, Inner
from app.openai.models.inputs import (
    MOST_INPUTS,
    Dimensions,
    ImageTexts,
    InputText,
    InputTexts,
    Purpose,
)
from app.openai.models.messages import Image
from app.openai.models.rerank import ApiVersion, Count, InputTokens
from app.openai.models.sampling import ModelName


class EmbedPart(Inner):
    """A text or a picture."""

    type: Literal["text", "image_url"]
    text: InputText | None = None
    image_url: Image | None = None

    @model_validator(mode="after")
    def _has_its_field(self) -> Self:
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of the type {self.type} needs {self.type}")
        return self


class EmbedInput(Inner):
    """What one vector is made of: one part."""

    content: Annotated[list[EmbedPart], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        if len(self.content) > 1:
            raise ValueError("models here make a vector of one text or one picture, not of both")
        return self


class EmbedBody(Body):
    """Texts, pictures, or a list of both, of each of which a vector is made."""

    model: ModelName | None = Field(
        None, description="An id from GET /v1/models; left out, the server's default model."
    )
    texts: InputTexts | None = None
    images: ImageTexts | None = Field(None, description="data: URLs.")
    inputs: Annotated[list[EmbedInput], Field(min_length=1, max_length=MOST_INPUTS)] | None = None
    input_type: Purpose | None = Field(
        None,
        description="`search_query`, `search_document`, `classification`, `clustering`, `image`: "
        "the model's prompt for it is put before each text.",
    )
    embedding_types: Annotated[list[Encoding], Field(min_length=1)] | None = Field(
        None, description="`float`, `base64` or both."
    )
    output_dimension: Dimensions | None = Field(
        None, description="Cut vectors to so many numbers, then give them the length 1."
    )
    truncate: Literal["NONE", "END"] = Field(
        "END", description="`END` cuts what is too long, `NONE` refuses it."
    )
    max_tokens: Count | None = Field(
        None, description="At least as many as the model takes: inputs are cut there."
    )
    priority: int | None = Field(None, description="Taken and ignored.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [value for value in (self.texts, self.images, self.inputs) if value is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of texts, images and inputs")
        return self


class EmbedMeta(BaseModel):
    """What Cohere's clients look for."""

    api_version: ApiVersion
    billed_units: InputTokens
    tokens: InputTokens


class EmbeddingsByType(BaseModel):
    """The vectors as each of the types that were asked for."""

    floats: list[list[float]] | None = Field(None, alias="float")
    base64: list[str] | None = None


class EmbedAnswer(BaseModel):
    """The vectors of all inputs, in their order."""

    id: str
    model: str = Field(description="The model that made them, whatever it was called.")
    embeddings: EmbeddingsByType | list[list[float]] = Field(
        description="`/v1/embed` without `embedding_types` gives the numbers alone."
    )
    response_type: Literal["embeddings_by_type", "embeddings_floats"]
    texts: list[str]
    meta: EmbedMeta


EXAMPLES: dict[str, Any] = {
    "documents": {
        "summary": "Texts that are searched",
        "value": {
            "texts": ["A unicorn has one horn.", "A horse has none."],
            "input_type": "search_document",
        },
    },
    "query": {
        "summary": "A question, as numbers and as base64",
        "value": {
            "texts": ["What is a unicorn?"],
            "input_type": "search_query",
            "embedding_types": ["float", "base64"],
        },
    },
}
"""Bodies that work as they are."""
