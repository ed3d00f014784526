"""Tools that a model may call, and whether it must."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from app.openai.models.base import Inner
from app.web.schema import LONGEST_TEXT, JsonObject, Plain

MOST_TOOLS = 128

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]


class FunctionDefinition(Inner):
    """A function that the client runs."""

    name: FunctionName
    description: Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None = None
    parameters: JsonObject | None = Field(
        None, description="A JSON Schema of its arguments; left out, it takes none."
    )
    strict: bool | None = Field(None, description="The arguments always match the schema.")


class Tool(Inner):
    """A tool. Those of other types than `function` are skipped, and named in `X-Skipped-Tools`."""

    type: Annotated[Plain, Field(max_length=64)] = "function"
    function: FunctionDefinition | None = None


class NamedFunction(Inner):
    """A function by its name."""

    name: FunctionName


class NamedTool(Inner):
    """A tool by its type and name."""

    type: Annotated[Plain, Field(max_length=64)]
    function: NamedFunction | None = None


class AllowedTools(Inner):
    """Which of the tools may be called."""

    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[NamedTool], Field(max_length=MOST_TOOLS)]


class ToolChoiceObject(Inner):
    """One tool that must be called, or several that may be."""

    type: Annotated[Plain, Field(max_length=64)]
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None


Mode = Literal["none", "auto", "required"]


def _choice(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if isinstance(value, str):
        if value not in {"none", "auto", "required"}:
            raise ValueError("must be none, auto, required or an object that names a tool")
        return value
    return ToolChoiceObject.model_validate(value)


ToolChoice = Annotated[
    Mode | ToolChoiceObject, WrapValidator(_choice, json_schema_input_type=Mode | ToolChoiceObject)
]
