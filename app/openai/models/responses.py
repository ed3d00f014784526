"""What ``/v1/responses`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from app.openai.models.base import HARMLESS, Inner
from app.openai.models.chat import MOST_ALTERNATIVES, Effort
from app.openai.models.constraints import LONGEST_SOURCE
from app.openai.models.response_input import Items, Metadata, Name
from app.openai.models.sampling import MOST_TOKENS, DrawingFields, ModelName
from app.openai.models.tools import MOST_TOOLS, FunctionName, Mode
from app.web.schema import LONGEST_TEXT, WHOLE, JsonObject, Plain

LOGPROBS = "message.output_text.logprobs"
"""What ``include`` calls the probabilities of tokens."""

KEPT = frozenset({"metadata", "store", "prompt_cache_key", "safety_identifier"})
"""Fields that other bodies ignore, and that a response shows again."""

ALSO_HARMLESS = frozenset({"client_metadata", "max_tool_calls", "stream_options"})

UNSUPPORTED = {
    "prompt": "Prompts are not stored here: send instructions and input.",
    "context_management": "Let truncation be auto: then the oldest messages are left out.",
    "moderation": "This server does not moderate.",
}
NEUTRAL: dict[str, tuple[Any, ...]] = {"context_management": ([],)}


class FunctionTool(Inner):
    """A tool. Those of other types than `function` are skipped, and named in `X-Skipped-Tools`."""

    type: Annotated[Plain, Field(max_length=64)]
    name: FunctionName | None = None
    description: Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None = None
    parameters: JsonObject | None = Field(
        None, description="A JSON Schema of its arguments; left out, it takes none."
    )
    strict: bool | None = Field(None, description="The arguments always match the schema.")


def _tool(value: object, handler: ValidatorFunctionWrapHandler) -> FunctionTool:
    """Of a tool that is skipped, the type is all that counts."""
    kind = value.get("type") if isinstance(value, Mapping) else None
    if isinstance(kind, str) and kind != "function":
        return FunctionTool.model_validate({"type": kind})
    tool: FunctionTool = handler(value)
    if tool.name is None:
        raise ValueError("a function needs a name")
    return tool


SentTool = Annotated[FunctionTool, WrapValidator(_tool)]


class NamedTool(Inner):
    """A tool by its type and name."""

    type: Annotated[Plain, Field(max_length=64)]
    name: FunctionName | None = None


class ToolChoiceObject(Inner):
    """One tool that must be called, or several that may be (`allowed_tools`)."""

    type: Annotated[Plain, Field(max_length=64)]
    name: FunctionName | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[NamedTool], Field(max_length=MOST_TOOLS)] = Field(
        [], description="Of `allowed_tools`: those that may be called."
    )


def _choice(value: object, _: ValidatorFunctionWrapHandler) -> object:
    """One check by type: of a union, the error would be a list with a line for each member."""
    if isinstance(value, str):
        if value not in {"none", "auto", "required"}:
            raise ValueError("must be none, auto, required or an object that names a tool")
        return value
    return ToolChoiceObject.model_validate(value)


SentChoice = Annotated[
    Mode | ToolChoiceObject, WrapValidator(_choice, json_schema_input_type=Mode | ToolChoiceObject)
]


class TextFormat(Inner):
    """Free text, any JSON object, or JSON that matches a schema, `strict` or not."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Annotated[Plain, Field(max_length=256)] | None = None
    description: Annotated[Plain, Field(max_length=LONGEST_SOURCE)] | None = None
    json_schema: JsonObject | None = Field(None, alias="schema")
    strict: bool | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("the type json_schema needs schema")
        return self


class TextOptions(Inner):
    """What the text of the answer must look like."""

    format: TextFormat = TextFormat()


class ReasoningOptions(Inner):
    """How long a model that thinks may do so before it answers."""

    effort: Effort | None = None
    summary: Annotated[Plain, Field(max_length=64)] | None = Field(
        None, description="Taken and shown again; the thinking is given as it is."
    )


def _name(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


ConversationName = Annotated[
    str,
    BeforeValidator(_name, json_schema_input_type=str | dict[str, str]),
    Field(max_length=100),
]


class ResponseFields(DrawingFields):
    """What a model is asked, and how it is to answer."""

    model: ModelName | None = Field(
        None, description="An id from GET /v1/models; left out, the server's default model."
    )
    input: Items = Field([], description="A text, which the user says, or items.")
    instructions: Annotated[Plain, Field(max_length=LONGEST_TEXT)] | None = Field(
        None, description="The system text of this response; later ones do not inherit it."
    )
    previous_response_id: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="The stored response that the input follows; several may follow one."
    )
    conversation: ConversationName | None = Field(
        None, description="The conversation at whose end the input and the response are kept."
    )
    tools: Annotated[list[SentTool], Field(max_length=MOST_TOOLS)] = Field(
        [], description="What the model may call."
    )
    tool_choice: SentChoice = "auto"
    parallel_tool_calls: bool = Field(True, description="Allow more than one call in an answer.")
    text: TextOptions = TextOptions()
    reasoning: ReasoningOptions = ReasoningOptions()
    truncation: Literal["auto", "disabled"] = Field(
        "disabled",
        description="`auto` leaves out the oldest exchanges of what does not fit; `disabled` "
        "refuses it.",
    )

    @classmethod
    def harmless(cls) -> frozenset[str]:
        """Fields that are taken and ignored."""
        return (HARMLESS | ALSO_HARMLESS) - KEPT

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not."""
        return UNSUPPORTED

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return NEUTRAL

    @model_validator(mode="after")
    def _one_base(self) -> Self:
        if self.previous_response_id and self.conversation:
            raise ValueError("give previous_response_id or conversation, not both")
        return self


class ResponseBody(ResponseFields):
    """Input for a model."""

    max_output_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS), WHOLE] | None = Field(
        None, description="Longest answer with its thinking. Otherwise DEFAULT_MAX_TOKENS."
    )
    store: bool = Field(True, description="Keep the input and the response; `false` keeps nothing.")
    background: bool = Field(
        False, description="Answer at once; the response is made when it is its turn."
    )
    stream: bool = Field(False, description="Answer with server-sent events.")
    include: Annotated[list[Name], Field(max_length=32)] = Field(
        [], description=f"`{LOGPROBS}` gives the probabilities of tokens; others are ignored."
    )
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES), WHOLE] = Field(
        0, description=f"So many of the likeliest tokens at each place; needs `{LOGPROBS}`."
    )
    metadata: Metadata = Field({}, description="Shown again with the response.")
    prompt_cache_key: Name | None = Field(None, description="Shown again.")
    safety_identifier: Name | None = Field(None, description="Shown again.")

    @property
    def logprobs(self) -> int | None:
        """How many alternatives of each token are asked for; None: no probabilities at all."""
        return self.top_logprobs if LOGPROBS in self.include or self.top_logprobs else None

    @model_validator(mode="after")
    def _background_is_stored(self) -> Self:
        if self.background and not self.store:
            raise ValueError("a response in the background is stored: leave store out")
        return self


class InputTokensBody(ResponseFields):
    """Input whose tokens are counted."""
