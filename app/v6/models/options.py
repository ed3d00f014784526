"""What an answer may consist of, and what becomes of it when its reader goes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from app.web.schema import LONGEST_TEXT, JsonObject, Plain, WireModel

MOST_TOOLS = 128

LONGEST_SOURCE = 64 * 1024
"""Characters of a regular expression or a grammar; engines bound schemas themselves."""

Source = Annotated[Plain, Field(min_length=1, max_length=LONGEST_SOURCE)]

ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class Tool(WireModel):
    """A tool that the model may call; the client runs it."""

    name: ToolName
    description: Annotated[Plain, Field(max_length=LONGEST_TEXT)] = ""
    parameters: JsonObject = Field(
        {"type": "object", "properties": {}},
        description="A JSON Schema of its arguments; left out, it takes none.",
    )
    strict: bool = Field(False, description="The arguments always match the schema.")


class ToolChoice(WireModel):
    """Whether the model may, must or must not call tools."""

    mode: Literal["auto", "none", "required"] = "auto"
    name: ToolName | None = Field(
        None, description="With `required`: the tool that must be called; left out, any."
    )
    parallel: bool = Field(True, description="Allow more than one call in an answer.")


class Constraint(WireModel):
    """What the answer must match: exactly one of these. Thinking before it is free."""

    json_schema: JsonObject | None = Field(None, description="The answer is such JSON.")
    regex: Source | None = None
    lark: Source | None = Field(None, description="A grammar in the language of Lark.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len([value for _, value in self if value is not None]) != 1:
            raise ValueError("give exactly one of json_schema, regex and lark")
        return self


class ReadingFields(WireModel):
    """Who reads the answer."""

    on_disconnect: Literal["stop", "continue"] = Field(
        "stop",
        description="What becomes of the answer when the client that asked hangs up. Readers that "
        "joined at `…/messages/{message_id}/stream` never stop it.",
    )
    background: bool = Field(
        False,
        description="Answer 202 as soon as the question is stored; the answer is made when it is "
        "its turn, and `stream` says where to read it. Not on paths that end in `/stream`.",
    )


class OptionFields(ReadingFields):
    """What the answer may consist of."""

    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS)] = Field(
        [], description="What the model may call. The results go to `…/tool_results`."
    )
    tool_choice: ToolChoice | None = Field(None, description="Left out: as the model likes.")
    constraint: Constraint | None = Field(None, description="What the answer must match.")
    thinking: Effort | None = Field(
        None, description="How long a model that thinks may do so; left out, as long as it likes."
    )


FORM_FIELDS = ("on_disconnect", "background", "thinking")
"""What the documentation of a form with files names of these."""

OPTION_EXAMPLES: dict[str, Any] = {
    "background": {
        "summary": "Answer in the background",
        "value": {"message": "Hello! What are you?", "background": True},
    },
    "schema": {
        "summary": "An answer that matches a JSON Schema",
        "value": {
            "message": "Name a colour.",
            "constraint": {
                "json_schema": {
                    "type": "object",
                    "properties": {"colour": {"enum": ["red", "green", "blue"]}},
                    "required": ["colour"],
                    "additionalProperties": False,
                }
            },
            "max_tokens": 64,
        },
    },
}
"""Bodies that work as they are."""
