"""What ``/v1/embeddings`` takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from app.encoding.vectors import Encoding
from app.openai.errors import InvalidParameter
from app.openai.models.base import Body
from app.openai.models.inputs import Dimensions, InputField, InputObject, Purpose
from app.openai.models.sampling import ModelName

_WHOLE_TEXTS = "A text becomes one vector here, of itself alone."

NOT_TIKTOKEN = (
    "Token ids mean this model's own tokens, and clients mostly send those of OpenAI's tokenizer: "
    'send texts (in LangChain: check_embedding_ctx_length=False), or say "tokens": "model" if '
    "they are this model's."
)


class EmbeddingsBody(Body):
    """Texts, or texts and pictures, of each of which a vector is made."""

    model: ModelName | None = Field(
        None,
        description="An id from GET /v1/models; left out, the server's default model for it.",
    )
    input: InputField = Field(
        description="A text, several, the model's own tokens, or objects with a text or a picture."
    )
    encoding_format: Encoding = Field(
        "float", description="`base64`: little-endian float32 numbers."
    )
    embedding_type: Encoding | None = Field(
        None, description="Another name of `encoding_format`, in Jina's API."
    )
    encoding_type: Encoding | None = Field(
        None, description="Another one, in LlamaIndex's client of Jina's API."
    )
    dimensions: Dimensions | None = Field(
        None, description="Cut vectors to so many numbers, then give them the length 1."
    )
    input_type: Purpose | None = Field(
        None,
        description="What the texts are for: `query`, `document`, `classification`, "
        "`clustering`, `none`, or a prompt that GET /v1/models lists. The model's prompt for it is "
        "put before each text; left out, the model's default prompt, which most have not.",
    )
    task: Purpose | None = Field(None, description="Another name of `input_type`, in Jina's API.")
    truncate: bool = Field(False, description="Cut what is too long, which is refused otherwise.")
    tokens: Literal["model"] | None = Field(
        None, description="`model`: token ids of `input` are those of this model."
    )
    normalized: bool = Field(True, description="Give vectors the length 1.")

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not."""
        return {"late_chunking": _WHOLE_TEXTS, "return_multivector": _WHOLE_TEXTS}

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return {"late_chunking": (False,), "return_multivector": (False,)}

    @model_validator(mode="after")
    def _tokens_are_meant(self) -> Self:
        if isinstance(self.input[0], list) and self.tokens is None:
            raise InvalidParameter("/input", NOT_TIKTOKEN)
        return self

    @property
    def objects(self) -> list[InputObject]:
        """The inputs that are objects."""
        return [item for item in self.input if isinstance(item, InputObject)]

    @property
    def encoding(self) -> Encoding:
        """How the vectors are written."""
        return self.embedding_type or self.encoding_type or self.encoding_format


class EmbeddingUsage(BaseModel):
    """Tokens that were computed, without those that were cut."""

    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    """The vector of one input."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    """The vectors of all inputs, in their order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str = Field(description="The model that made them, whatever it was called.")
    usage: EmbeddingUsage


EXAMPLES: dict[str, Any] = {
    "text": {"summary": "A text", "value": {"input": "What is a unicorn?"}},
    "several": {
        "summary": "Several texts as base64, with shorter vectors",
        "value": {
            "input": ["A unicorn has one horn.", "유니콘은 뿔이 하나다."],
            "encoding_format": "base64",
            "dimensions": 32,
        },
    },
    "query": {
        "summary": "A question, with the prompt that the model has for questions",
        "value": {"input": "What is a unicorn?", "input_type": "query"},
    },
}
"""Bodies that work as they are."""
