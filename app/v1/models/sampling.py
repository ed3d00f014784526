"""The options of a chat for how the answer is drawn; templates have them too."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from app.provider.types import Sampling
from app.web.schema import WHOLE, Plain, WireModel

DEFAULT = Sampling()

StopText = Annotated[Plain, Field(min_length=1, max_length=64)]
StopTexts = Annotated[list[StopText], Field(max_length=8)]


def _listed(stop: object) -> object:
    return [stop] if isinstance(stop, str) else stop


class SamplingFields(WireModel):
    """How the answer is drawn; every field may be left out."""

    temperature: float = Field(
        DEFAULT.temperature, ge=0, le=2, description="0 always takes the likeliest token."
    )
    top_p: float = Field(
        DEFAULT.top_p, gt=0, le=1, description="Keep the likeliest tokens up to this sum; 1: all."
    )
    top_k: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        DEFAULT.top_k, description="Keep so many of the likeliest; 0: all."
    )
    min_p: float = Field(
        DEFAULT.min_p, ge=0, le=1, description="Drop tokens below this share of the likeliest."
    )
    repeat_penalty: float = Field(
        DEFAULT.repeat_penalty, gt=0, le=2, description="Above 1: say less again; 1: off."
    )
    presence_penalty: float = Field(
        DEFAULT.presence_penalty, ge=-2, le=2, description="For tokens the answer already has."
    )
    frequency_penalty: float = Field(
        DEFAULT.frequency_penalty, ge=-2, le=2, description="The same, for each time it has them."
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), WHOLE] | None = Field(
        None, description="The same seed draws the same answer."
    )
    max_tokens: Annotated[int, Field(ge=1, le=32768), WHOLE] | None = Field(
        None, description="Longest answer; otherwise DEFAULT_MAX_TOKENS."
    )
    stop: Annotated[
        StopTexts, BeforeValidator(_listed, json_schema_input_type=StopText | StopTexts)
    ] = Field([], description="End the answer before any of these texts.")
