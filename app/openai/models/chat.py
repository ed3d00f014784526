"""What ``/v1/chat/completions`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from app.openai.models.constraints import ConstraintFields
from app.openai.models.messages import ChatMessage
from app.openai.models.sampling import MOST_TOKENS, AnswerLength, ModelName, SamplingFields
from app.openai.models.tools import MOST_TOOLS, Tool, ToolChoice
from app.web.schema import WHOLE, JsonObject

MOST_ALTERNATIVES = 20

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]

_USE_TOOLS = "Functions are given as tools here."

UNSUPPORTED = {
    "audio": "No model here answers with sound.",
    "modalities": "Models here answer with text only.",
    "web_search_options": "This server does not search the web.",
    "functions": _USE_TOOLS,
    "function_call": _USE_TOOLS,
    "moderation": "This server does not moderate.",
}
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "modalities": (["text"], []),
    "functions": ([],),
    "function_call": ("none", "auto"),
}


class ChatBody(SamplingFields, ConstraintFields):
    """Messages to a model."""

    model: ModelName | None = Field(
        None,
        description="An id from GET /v1/models, also with a prompt template: `model@template`; "
        "left out, the server's default model.",
    )
    messages: Annotated[list[ChatMessage], Field(min_length=1)] = Field(
        description="At most MAX_HISTORY_LENGTH before the last one."
    )
    max_completion_tokens: AnswerLength | None = Field(
        None, description="Another name of `max_tokens`, which it wins over."
    )
    logprobs: bool = Field(False, description="Say how likely each token of the answer was.")
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES), WHOLE] | None = Field(
        None, description="And so many of the likeliest at its place; needs `logprobs`."
    )
    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS)] = Field(
        [], description="What the model may call."
    )
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool = Field(True, description="Allow more than one call in an answer.")
    reasoning_effort: Effort | None = Field(
        None, description="How long a model that thinks may do so before it answers."
    )
    thinking_token_budget: Annotated[int, Field(ge=0, le=MOST_TOKENS), WHOLE] | None = Field(
        None, description="The same in tokens, which `reasoning_effort` only stands for."
    )
    chat_template_kwargs: JsonObject = Field(
        {}, description="Further variables of the model's chat template, like enable_thinking."
    )

    @classmethod
    def unsupported(cls) -> Mapping[str, str]:
        """Fields that clients know and this server does not."""
        return UNSUPPORTED

    @classmethod
    def neutral(cls) -> Mapping[str, tuple[Any, ...]]:
        """Values of such fields that ask for nothing."""
        return NEUTRAL

    @model_validator(mode="after")
    def _alternatives_need_logprobs(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        return self
