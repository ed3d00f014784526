"""Tools, thinking and the form of the answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from app.anthropic.models.fields import Ignored, LongText, Name
from app.web.schema import WHOLE, JsonObject, Plain, WireModel


class ClientTool(WireModel):
    """A tool that the client runs."""

    name: Annotated[Plain, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: JsonObject = Field(description="JSON Schema of its input.")
    description: LongText = ""
    type: Literal["custom"] | None = None
    strict: bool | None = Field(None, description="The input always matches the schema.")
    allowed_callers: Ignored = None
    cache_control: Ignored = None
    defer_loading: Ignored = None
    eager_input_streaming: Ignored = None
    input_examples: Ignored = None


class ServerTool(BaseModel):
    """A tool of Anthropic's own, such as `web_search_20250305`.

    It is not run here and the model does not see it; the header X-Skipped-Tools names it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Annotated[Plain, Field(pattern=r"^[a-zA-Z0-9_.-]{1,100}$")]
    name: Annotated[Plain, Field(max_length=200)] = ""


def _kind(tool: object) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", None)
    return "client" if kind in (None, "custom") else "server"


AnyTool = Annotated[
    Annotated[ClientTool, Tag("client")] | Annotated[ServerTool, Tag("server")],
    Discriminator(_kind),
]


class AutoChoice(WireModel):
    """The model decides whether it calls tools."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool = Field(False, description="One call in an answer at most.")


class AnyChoice(WireModel):
    """The model calls some tool."""

    type: Literal["any"]
    disable_parallel_tool_use: bool = Field(False, description="Exactly one call in an answer.")


class NamedChoice(WireModel):
    """The model calls this tool."""

    type: Literal["tool"]
    name: Name
    disable_parallel_tool_use: bool = Field(False, description="Exactly one call in an answer.")


class NoChoice(WireModel):
    """The model calls no tool."""

    type: Literal["none"]


ToolChoice = Annotated[AutoChoice | AnyChoice | NamedChoice | NoChoice, Field(discriminator="type")]

Display = Literal["summarized", "omitted"]


class EnabledThinking(WireModel):
    """The model thinks first, within a budget that is less than ``max_tokens``."""

    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE]
    display: Display | None = Field(None, description="`omitted`: the thinking is not sent.")


class AdaptiveThinking(WireModel):
    """The model thinks first, as long as it likes."""

    type: Literal["adaptive", "between_tools"]
    display: Display | None = Field(None, description="`omitted`: the thinking is not sent.")


class DisabledThinking(WireModel):
    """The model answers at once, if it can; what it thinks nevertheless is not sent."""

    type: Literal["disabled"]


Thinking = Annotated[
    EnabledThinking | AdaptiveThinking | DisabledThinking, Field(discriminator="type")
]


class JsonFormat(WireModel):
    """The answer is JSON that matches a schema."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    type: Literal["json_schema"]
    json_schema: JsonObject = Field(alias="schema")
    name: Ignored = None


class OutputConfig(WireModel):
    """The form of the answer, and how much is thought before it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="How much the model thinks, where it thinks without a budget."
    )
    format: JsonFormat | None = None
    task_budget: Ignored = None
