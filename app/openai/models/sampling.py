"""How the answer is drawn: fields of chats and completions alike."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidatorFunctionWrapHandler, WrapValidator

from app.openai.models.base import Body, Inner
from app.provider.types import Sampling
from app.web.schema import WHOLE, Plain

DEFAULT = Sampling()

MOST_CHOICES = 8
MOST_BIASES = 1024
MOST_STOPS = 32
MOST_TOKENS = 2**31 - 1
"""The most that an engine counts to."""

StopText = Annotated[Plain, Field(max_length=512)]
StopTexts = Annotated[list[StopText], Field(max_length=MOST_STOPS)]

_STOP: TypeAdapter[str] = TypeAdapter(StopText)
_STOPS: TypeAdapter[list[str]] = TypeAdapter(StopTexts)


def _stops(value: object, _: ValidatorFunctionWrapHandler) -> list[str]:
    """One check by type: of a union, the error would be a list with a line for each member."""
    texts = (
        [_STOP.validate_python(value)] if isinstance(value, str) else _STOPS.validate_python(value)
    )
    return [text for text in texts if text]


Stops = Annotated[list[str], WrapValidator(_stops, json_schema_input_type=StopText | StopTexts)]
TokenId = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]


def _not_zero(number: int) -> int:
    if number == 0:
        raise ValueError("must be at least 1, or -1 for as many as fit")
    return number


AnswerLength = Annotated[int, Field(ge=-1, le=MOST_TOKENS), WHOLE, AfterValidator(_not_zero)]


ModelName = Annotated[Plain, Field(min_length=1, max_length=300)]


class StreamOptions(Inner):
    """What a stream says beside the answer."""

    include_usage: bool | None = Field(
        None, description="Send the usage in a last chunk, whose `choices` are empty."
    )
    continuous_usage_stats: bool | None = Field(
        None, description="And what is known of it in each chunk before."
    )


class DrawingFields(Body):
    """How the next token is drawn; every field may be left out or null."""

    temperature: float = Field(
        DEFAULT.temperature, ge=0, le=2, description="0 always takes the likeliest token."
    )
    top_p: float = Field(
        DEFAULT.top_p, ge=0, le=1, description="Keep the likeliest tokens up to this sum; 1: all."
    )
    top_k: Annotated[int, Field(ge=-1, le=1000), WHOLE] = Field(
        DEFAULT.top_k, description="Keep so many of the likeliest; 0 or -1: all."
    )
    min_p: float = Field(
        DEFAULT.min_p, ge=0, le=1, description="Drop tokens below this share of the likeliest."
    )
    repeat_penalty: float | None = Field(
        None, gt=0, le=2, description="Above 1: say less again; 1: off."
    )
    repetition_penalty: float | None = Field(
        None, gt=0, le=2, description="Another name of `repeat_penalty`."
    )
    presence_penalty: float = Field(
        DEFAULT.presence_penalty, ge=-2, le=2, description="For tokens the answer already has."
    )
    frequency_penalty: float = Field(
        DEFAULT.frequency_penalty, ge=-2, le=2, description="The same, for each time it has them."
    )
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), WHOLE] | None = Field(
        None, description="The same seed draws the same answer."
    )
    stop: Stops = Field([], description="End the answer before any of these texts.")

    def given(self, name: str) -> Any:
        """The value of a field that the client sent; None for one that it left out."""
        return getattr(self, name) if name in self.model_fields_set else None


class SamplingFields(DrawingFields):
    """How the answer is drawn; every field may be left out or null."""

    n: Annotated[int, Field(ge=1, le=MOST_CHOICES), WHOLE] = Field(
        1, description="Answers to the same question. With a `seed`, each counts it up by one."
    )
    logit_bias: Annotated[dict[TokenId, Bias], Field(max_length=MOST_BIASES)] = Field(
        {}, description="Added to the logits of tokens, by their ids in the model's vocabulary."
    )
    max_tokens: AnswerLength | None = Field(
        None, description="Longest answer; -1: as long as fits. Otherwise DEFAULT_MAX_TOKENS."
    )
    cache_salt: Annotated[Plain, Field(max_length=128)] | None = Field(
        None,
        description="Share computed prompts only with requests of the same salt (and API key): "
        "for servers that pass on the requests of several users.",
    )
    stream: bool = Field(False, description="Answer with server-sent events.")
    stream_options: StreamOptions = StreamOptions()
