"""What ``/v1/completions`` takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from app.openai.models.answers import STOP_REASON, Usage
from app.openai.models.chat import MOST_ALTERNATIVES
from app.openai.models.constraints import ConstraintFields
from app.openai.models.sampling import ModelName, SamplingFields
from app.web.schema import LONGEST_TEXT, WHOLE, Plain

MOST_PROMPTS = 64

Token = Annotated[int, Field(ge=0, lt=2**31), WHOLE]
TokenIds = Annotated[list[Token], Field(min_length=1, max_length=LONGEST_TEXT)]
PromptText = Annotated[Plain, Field(max_length=LONGEST_TEXT)]

_TEXT: TypeAdapter[str] = TypeAdapter(PromptText)
_TEXTS: TypeAdapter[list[str]] = TypeAdapter(
    Annotated[list[PromptText], Field(max_length=MOST_PROMPTS)]
)
_IDS: TypeAdapter[list[int]] = TypeAdapter(TokenIds)
_LISTS: TypeAdapter[list[list[int]]] = TypeAdapter(
    Annotated[list[TokenIds], Field(max_length=MOST_PROMPTS)]
)

Prompts = list[str] | list[list[int]]


def _prompts(value: object, _: ValidatorFunctionWrapHandler) -> Prompts:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if isinstance(value, str):
        return [_TEXT.validate_python(value)]
    if not isinstance(value, list) or not value:
        raise ValueError("must be a text, a list of token ids, or a list of several of either")
    if isinstance(value[0], str):
        return _TEXTS.validate_python(value)
    if isinstance(value[0], list):
        return _LISTS.validate_python(value)
    return [_IDS.validate_python(value)]


PromptField = Annotated[
    Prompts,
    WrapValidator(
        _prompts,
        json_schema_input_type=PromptText | list[PromptText] | TokenIds | list[TokenIds],
    ),
]

UNSUPPORTED = {"best_of": "This server makes as many answers as it gives: set n."}


class CompletionBody(SamplingFields, ConstraintFields):
    """Texts that the model continues, without a chat template."""

    model: ModelName | None = Field(
        None, description="An id from GET /v1/models; left out, the server's default model."
    )
    prompt: PromptField = Field(
        description=f"A text, or the model's own tokens; at most {MOST_PROMPTS} of them."
    )
    suffix: PromptText | None = Field(
        None, description="What follows the answer, for models that were trained to fill in."
    )
    echo: bool = Field(False, description="Begin each answer with its prompt.")
    logprobs: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES), WHOLE] | None = Field(
        None, description="Say how likely each token was, and so many of the likeliest."
    )

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not."""
        return UNSUPPORTED

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return {"best_of": (1,)}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.echo and self.logprobs is not None:
            raise ValueError("echo has no logprobs here: those of a prompt are not computed")
        if self.suffix is not None and not isinstance(self.prompt[0], str):
            raise ValueError("suffix goes with a text, not with token ids")
        return self


class InfillBody(SamplingFields):
    """What stands before and after a gap, as editors send it."""

    model: ModelName | None = Field(
        None, description="An id from GET /v1/models; left out, the server's default model."
    )
    prompt: PromptText
    suffix: PromptText | None = None

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not."""
        return {"min_tokens": "An answer has no least length here."}

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return {"min_tokens": (0,)}


class CompletionLogprobs(BaseModel):
    """How likely the tokens of an answer were; `text_offset` is where each begins."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """One answer, or a piece of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"] | None = Field(
        description="null in all pieces but the last."
    )
    stop_reason: str | None = STOP_REASON


class Completion(BaseModel):
    """Answers, or pieces of them."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None


CHUNK_EXAMPLE = """\
data: {"id":"cmpl-1","object":"text_completion",…,"choices":[{"index":0,"text":" Hello",…}]}

data: {"id":"cmpl-1",…,"choices":[{"index":0,"text":"",…,"finish_reason":"stop"}]}

data: [DONE]

"""

EXAMPLES: dict[str, Any] = {
    "text": {
        "summary": "Continue a text",
        "value": {"prompt": "Hello! I am", "max_tokens": 16, "temperature": 0},
    },
    "several": {
        "summary": "Continue two texts, with the texts",
        "value": {"prompt": ["One, two,", "Hello"], "max_tokens": 8, "echo": True},
    },
    "stream": {
        "summary": "As it is made",
        "value": {"prompt": "Hello! I am", "max_tokens": 16, "stream": True},
    },
}
INFILL_EXAMPLES: dict[str, Any] = {
    "text": {
        "summary": "Continue a text",
        "value": {"prompt": "def add(a, b):", "max_tokens": 16, "stop": ["\n\n"]},
    }
}
"""Bodies that work as they are."""
