"""The rules every wire model follows, and the kinds of text in them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.storage.plain_text import fault_of

LONGEST_TEXT = 1_000_000
"""Characters; MAX_REQUEST_BYTES usually ends a body before."""


class WireModel(BaseModel):
    """No unknown fields, no numbers in strings, no NaN: nothing is guessed or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def plain_text(text: str) -> str:
    """The text, if every engine and database can hold it; raises ValueError."""
    if fault := fault_of(text):
        raise ValueError(fault)
    return text


Plain = Annotated[
    str, AfterValidator(plain_text), Field(json_schema_extra={"pattern": "^[^\\u0000]*$"})
]
"""Text that every engine and database can hold."""


def _whole(number: object) -> object:
    # In JSON 1.0 is a whole number too.
    return int(number) if isinstance(number, float) and number.is_integer() else number


WHOLE = BeforeValidator(_whole)
"""For every integer; it stands after the bounds, or they would be missing in the schema."""


def _expressible(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:
        raise ValueError("has a number that JSON does not know") from None
    plain_text(text)
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_expressible)]
"""A JSON object that can be written as JSON again, in UTF-8."""

Text = Annotated[Plain, Field(min_length=1, max_length=LONGEST_TEXT)]
