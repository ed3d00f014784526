"""Items of a response's input, as clients send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from app.media.image_source import Detail
from app.openai.models.base import Inner
from app.openai.models.messages import MOST_PARTS, LongText
from app.web.schema import Plain

MOST_ITEMS = 4096

Name = Annotated[Plain, Field(max_length=256)]

ItemType = Literal[
    "message", "function_call", "function_call_output", "reasoning", "item_reference"
]

TEXT_PARTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
"""Types of parts whose ``text`` is what they say."""


class InputPart(Inner):
    """A piece of an item: a text, a picture, or what was refused."""

    type: Literal[
        "input_text",
        "output_text",
        "text",
        "summary_text",
        "reasoning_text",
        "refusal",
        "input_image",
    ]
    text: LongText | None = None
    refusal: LongText | None = None
    image_url: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A data: URL, or an address (http, https) where IMAGE_URLS is on."
    )
    detail: Detail = "auto"

    @model_validator(mode="after")
    def _has_its_field(self) -> Self:
        name = self._field
        if getattr(self, name) is None:
            raise ValueError(f"a part of the type {self.type} needs {name}")
        return self

    @property
    def _field(self) -> str:
        if self.type in TEXT_PARTS:
            return "text"
        return "image_url" if self.type == "input_image" else "refusal"

    @property
    def text_or_refusal(self) -> str:
        """Its text, or what was refused."""
        return self.text or self.refusal or ""


_TEXT: TypeAdapter[str] = TypeAdapter(LongText)
_PARTS: TypeAdapter[list[InputPart]] = TypeAdapter(
    Annotated[list[InputPart], Field(max_length=MOST_PARTS)]
)


def _parts(value: object, _: ValidatorFunctionWrapHandler) -> list[InputPart]:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if isinstance(value, str):
        return [InputPart(type="input_text", text=_TEXT.validate_python(value))] if value else []
    return _PARTS.validate_python(value) if value is not None else []


Parts = Annotated[
    list[InputPart],
    WrapValidator(_parts, json_schema_input_type=LongText | list[InputPart] | None),
]


class InputItem(Inner):
    """A message, a call of a function, what it returned, what the model thought, or a stored item.

    `item_reference` names a stored item by its `id`, which is ignored elsewhere.
    """

    type: ItemType = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: Parts = Field([], description="A text, or parts.")
    id: Name | None = None
    call_id: Name | None = Field(None, description="Names a call, and what it returned.")
    name: Annotated[Plain, Field(min_length=1, max_length=256)] | None = None
    arguments: LongText | None = Field(None, description="A JSON object, as the model wrote it.")
    output: Parts = Field([], description="What the function returned: a text, or parts.")
    summary: Parts = Field([], description="Of thinking: taken where there is no `content`.")

    @model_validator(mode="after")
    def _has_its_fields(self) -> Self:
        for name in _NEEDED[self.type]:
            if getattr(self, name) is None and not (name == "call_id" and self.is_note):
                raise ValueError(f"an item of the type {self.type} needs {name}")
        return self

    @property
    def is_note(self) -> bool:
        """Whether it is what a client says of itself, as Codex says its goal: nothing called it."""
        return self.type == "function_call_output" and self.name is not None and not self.call_id

    @property
    def parts(self) -> Sequence[InputPart]:
        """What it consists of."""
        return self.output if self.type == "function_call_output" else self.content


_NEEDED: dict[ItemType, tuple[str, ...]] = {
    "message": ("role",),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id",),
    "reasoning": (),
    "item_reference": ("id",),
}

_ITEMS: TypeAdapter[list[InputItem]] = TypeAdapter(
    Annotated[list[InputItem], Field(max_length=MOST_ITEMS)]
)


def _items(value: object, _: ValidatorFunctionWrapHandler) -> list[InputItem]:
    if isinstance(value, str):
        return [InputItem(role="user", content=_TEXT.validate_python(value))]  # type: ignore[arg-type]
    return _ITEMS.validate_python(value)


Items = Annotated[
    list[InputItem], WrapValidator(_items, json_schema_input_type=LongText | list[InputItem])
]
"""A text, which the user says, or items."""

Metadata = Annotated[
    dict[Annotated[Plain, Field(max_length=64)], Annotated[Plain, Field(max_length=512)]],
    Field(max_length=16),
]
"""Texts of the client, by name."""
