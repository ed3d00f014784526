"""Texts, tokens and pictures to encode, as the routes that make vectors take them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from app.openai.models.base import Inner
from app.openai.models.completions import TokenIds
from app.web.schema import LONGEST_TEXT, WHOLE, Plain

MOST_INPUTS = 2048
"""Of one request, as many as OpenAI takes."""
MOST_DIMENSIONS = 2**16


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("is empty: a text needs at least one character")
    return text


InputText = Annotated[
    Plain,
    Field(max_length=LONGEST_TEXT, json_schema_extra={"minLength": 1}),
    AfterValidator(_not_empty),
]
InputTexts = Annotated[list[InputText], Field(min_length=1, max_length=MOST_INPUTS)]
ImageText = Annotated[str, Field(min_length=1)]
"""A picture as base64 or a data: URL, or its address where IMAGE_URLS is on."""
ImageTexts = Annotated[list[ImageText], Field(min_length=1)]
Dimensions = Annotated[int, Field(ge=1, le=MOST_DIMENSIONS), WHOLE]
Purpose = Annotated[Plain, Field(min_length=1, max_length=100)]


class InputObject(Inner):
    """A text or a picture, in the form of Jina's API; exactly one field."""

    text: InputText | None = None
    image: ImageText | None = Field(None, description="Base64, a data: URL, or an address.")
    url: ImageText | None = Field(None, description="Another name of `image`.")
    bytes: ImageText | None = Field(None, description="Another name of `image`.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len([value for _, value in self if value is not None]) != 1:
            raise ValueError("an input has exactly one of text and image")
        return self

    @property
    def picture(self) -> str | None:
        """Where the picture is; None for a text."""
        return self.image or self.url or self.bytes


Inputs = list[str] | list[list[int]] | list[InputObject]

_TEXT: TypeAdapter[str] = TypeAdapter(InputText)
_TEXTS: TypeAdapter[list[str]] = TypeAdapter(InputTexts)
_IDS: TypeAdapter[list[int]] = TypeAdapter(TokenIds)
_LISTS: TypeAdapter[list[list[int]]] = TypeAdapter(
    Annotated[list[TokenIds], Field(max_length=MOST_INPUTS)]
)
_OBJECTS: TypeAdapter[list[InputObject]] = TypeAdapter(
    Annotated[list[InputObject], Field(max_length=MOST_INPUTS)]
)


def _inputs(value: object, _: ValidatorFunctionWrapHandler) -> Inputs:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if isinstance(value, str):
        return [_TEXT.validate_python(value)]
    if isinstance(value, dict):
        return _OBJECTS.validate_python([value])
    if not isinstance(value, list) or not value:
        raise ValueError("must be a text, token ids, an object with text or image, or several")
    if any(isinstance(item, dict) for item in value):
        return _OBJECTS.validate_python([_as_object(item) for item in value])
    if isinstance(value[0], str):
        return _TEXTS.validate_python(value)
    if isinstance(value[0], list):
        return _LISTS.validate_python(value)
    return [_IDS.validate_python(value)]


def _as_object(item: Any) -> Any:
    """Jina's API takes texts among objects."""
    return {"text": item} if isinstance(item, str) else item


InputField = Annotated[
    Inputs,
    WrapValidator(
        _inputs,
        json_schema_input_type=InputText
        | InputTexts
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MOST_INPUTS)]
        | Annotated[list[InputObject], Field(min_length=1, max_length=MOST_INPUTS)],
    ),
]
