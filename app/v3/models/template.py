"""A prompt template, as it stands in a file and on the wire.

What needs Jinja, such as whether every name is declared, is checked by
``app.templates.rendering.compile_template``: a template is valid when both have passed it.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from app.templates.template import TYPE_PHRASES, VariableType, has_type
from app.v1.models.sampling import SamplingFields
from app.web.schema import Plain, Text, WireModel

LONGEST_SOURCE = 32 * 1024
"""Characters of a template's system or user text."""

LONGEST_VALUE = 100_000
"""Characters of a variable's value."""

TemplateName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]

_TAKEN = frozenset(["message", "self", "loop", "true", "false", "none"])
"""Names that mean something else inside a template."""


def _free_identifier(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN:
        raise ValueError(f"{name!r} cannot be a variable: use an identifier like 'language'")
    return name


VariableName = Annotated[
    Plain, Field(min_length=1, max_length=64), AfterValidator(_free_identifier)
]

_TEXT: TypeAdapter[str] = TypeAdapter(Annotated[Plain, Field(max_length=LONGEST_VALUE)])
_NUMBER: TypeAdapter[float] = TypeAdapter(
    Annotated[int, Field(ge=-(2**63), lt=2**63)] | Annotated[float, Field(allow_inf_nan=False)]
)


def _scalar(value: object, _: ValidatorFunctionWrapHandler) -> object:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if isinstance(value, str):
        return _TEXT.validate_python(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _NUMBER.validate_python(value)
    raise ValueError("must be a string, a number or a boolean")


_Scalar = Annotated[Plain, Field(max_length=LONGEST_VALUE)] | int | float | bool
Value = Annotated[str | int | float | bool, WrapValidator(_scalar, json_schema_input_type=_Scalar)]
"""What a variable can be set to."""


class Localised(WireModel):
    """The same text in both languages of the project."""

    en: Text
    ko: Text


def _label(value: object, _: ValidatorFunctionWrapHandler) -> object:
    if isinstance(value, Mapping | Localised):
        return Localised.model_validate(value)
    return _LABEL.validate_python(value)


_LABEL: TypeAdapter[str] = TypeAdapter(Text)
Label = Annotated[str | Localised, WrapValidator(_label, json_schema_input_type=Text | Localised)]
"""For people: one text, or one in each language."""


def _shown(field: str, value: object, data: Any) -> Any:
    """Answers show this field even where the author left it out."""
    return {field: value, **data} if isinstance(data, dict) else data


class Variable(WireModel):
    """What a template wants to be told. An optional one without a default renders as empty."""

    type: VariableType
    required: bool = Field(False, description="Must be set, and so has no default.")
    default: Value | None = Field(None, description="Used where a request does not set it.")
    description: Label | None = None

    @model_validator(mode="before")
    @classmethod
    def _show(cls, data: Any) -> Any:
        return _shown("required", False, data)

    @field_validator("default")
    @classmethod
    def _fits(cls, default: Value | None, info: ValidationInfo) -> Value | None:
        declared = info.data.get("type")
        if default is not None and info.data.get("required"):
            raise ValueError("a required variable has no default")
        if default is not None and declared and not has_type(default, declared):
            raise ValueError(f"the default is not {TYPE_PHRASES[declared]}")
        return default


class Example(WireModel):
    """The part of a request that a template is about, ready to be sent."""

    message: Text
    variables: dict[str, Value] = Field({}, max_length=64)


class Template(WireModel):
    """Instructions for a model with places for variables, in Jinja's language."""

    name: TemplateName
    title: Label | None = None
    description: Label
    system: Annotated[Plain, Field(min_length=1, max_length=LONGEST_SOURCE)] = Field(
        description="How the model shall behave; variables stand as {{ name }}."
    )
    user: Annotated[Plain, Field(min_length=1, max_length=LONGEST_SOURCE)] | None = Field(
        None, description="What the model reads in place of the message: text around {{ message }}."
    )
    variables: dict[VariableName, Variable] = Field({}, max_length=64)
    sampling: SamplingFields | None = Field(
        None, description="How answers are drawn; only what is given here counts."
    )
    example: Example | None = Field(None, description="Works as the body of a chat.")

    @model_validator(mode="before")
    @classmethod
    def _show(cls, data: Any) -> Any:
        return _shown("variables", {}, data)
