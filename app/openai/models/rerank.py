"""What ``/v1/rerank`` and ``/v2/rerank`` take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from app.openai.models.base import Body, Inner
from app.openai.models.embeddings import EmbeddingUsage
from app.openai.models.inputs import InputText
from app.openai.models.sampling import ModelName
from app.web.schema import LONGEST_TEXT, WHOLE, Plain

MOST_DOCUMENTS = 10_000

DocumentText = Annotated[Plain, Field(max_length=LONGEST_TEXT)]
Count = Annotated[int, Field(ge=1), WHOLE]


class DocumentObject(Inner):
    """A document as an object; only its text counts."""

    text: DocumentText


_TEXT: TypeAdapter[str] = TypeAdapter(DocumentText)


def _document(value: object, _: ValidatorFunctionWrapHandler) -> str:
    if isinstance(value, dict):
        return DocumentObject.model_validate(value).text
    return _TEXT.validate_python(value)


Document = Annotated[
    str, WrapValidator(_document, json_schema_input_type=DocumentText | DocumentObject)
]


class RerankBody(Body):
    """A query, and documents to put into the order in which they answer it."""

    model: ModelName | None = Field(
        None,
        description="A reranker or an embedding model; left out, the server's default.",
    )
    query: InputText
    documents: Annotated[list[Document], Field(min_length=1, max_length=MOST_DOCUMENTS)] = Field(
        description="Texts, or objects with a `text`."
    )
    top_n: Count | None = Field(None, description="Give only so many, the best.")
    top_k: Count | None = Field(
        None,
        description="Another name of `top_n`. Each result then also has its `score`, and the "
        "text of its document unless `return_documents` is false.",
    )
    return_documents: bool | None = Field(None, description="Give the documents too.")
    raw_scores: bool = Field(False, description="Scores as the model gives them, not from 0 to 1.")
    truncate: bool = Field(True, description="Cut documents that are too long; false: refuse them.")
    instruction: DocumentText | None = Field(
        None, description="What to look for, for rerankers that take an instruction."
    )
    max_tokens_per_doc: Count | None = Field(
        None, description="At least as many as the model takes: documents are cut there."
    )
    priority: int | None = Field(None, description="Taken and ignored.")

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not."""
        return {
            "rank_fields": "The text of a document is what is ranked.",
            "max_chunks_per_doc": "Documents are not divided here.",
            "relevant_spans": "Documents are ranked as a whole.",
        }

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return {
            "rank_fields": (["text"], []),
            "max_chunks_per_doc": (1,),
            "relevant_spans": (False,),
        }

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if self.top_n is not None and self.top_k is not None:
            raise ValueError("top_n and top_k are two names of the same: give one of them")
        return self


class RankedDocument(BaseModel):
    """A document as an object."""

    text: str


class RankedResult(BaseModel):
    """A document's place in the request, and how well it answers the query."""

    index: int
    relevance_score: float
    score: float | None = Field(None, description="The same, where `top_k` was given.")
    document: RankedDocument | str | None = Field(
        None, description="An object, or its text where `top_k` was given."
    )


class SearchUnits(BaseModel):
    """How Cohere counts."""

    search_units: int


class ApiVersion(BaseModel):
    """Which of Cohere's versions this is like."""

    version: str


class InputTokens(BaseModel):
    """Tokens that were computed."""

    input_tokens: int


class RerankMeta(BaseModel):
    """What Cohere's clients look for."""

    api_version: ApiVersion
    billed_units: SearchUnits
    tokens: InputTokens


class RerankAnswer(BaseModel):
    """The documents, the best first."""

    id: str
    model: str = Field(description="The model that ranked them, whatever it was called.")
    results: list[RankedResult]
    usage: EmbeddingUsage
    meta: RerankMeta


_DOCUMENTS = [
    "Deep learning is a kind of machine learning.",
    "The recipe needs two eggs and flour.",
    "Artificial intelligence is a branch of computer science.",
]

EXAMPLES: dict[str, Any] = {
    "best": {
        "summary": "The two best of three documents",
        "value": {"query": "What is AI?", "documents": _DOCUMENTS, "top_n": 2},
    },
    "documents": {
        "summary": "With the documents",
        "value": {"query": "What is AI?", "documents": _DOCUMENTS, "return_documents": True},
    },
}
"""Bodies that work as they are."""
