"""What ``/v1/messages`` and ``/v1/messages/count_tokens`` take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.anthropic.models.blocks import Message, TextBlocks
from app.anthropic.models.fields import Ignored, Name, Unsupported
from app.anthropic.models.options import AnyTool, JsonFormat, OutputConfig, Thinking, ToolChoice
from app.provider.types import Sampling
from app.web.schema import WHOLE, Plain, WireModel

MOST_TOOLS = 128
DEFAULT = Sampling()


class PassedOver(WireModel):
    """Fields of Anthropic's clients that change nothing here, and those that cannot be obeyed."""

    anthropic_beta: Ignored = None
    anthropic_version: Ignored = None
    betas: Ignored = None
    billing_policy: Ignored = None
    cache_control: Ignored = None
    compaction: Ignored = None
    context_management: Ignored = None
    diagnostics: Ignored = None
    fallback_credit_token: Ignored = None
    fallbacks: Ignored = None
    inference_geo: Ignored = None
    metadata: Ignored = None
    service_tier: Ignored = None
    speed: Ignored = None
    user_profile_id: Ignored = None
    workspace_id: Ignored = None

    container: Unsupported = None
    mcp_servers: Unsupported = None
    thread: Unsupported = None


class CountRequest(PassedOver):
    """A prompt."""

    model: Name | None = Field(
        None, description="An id of GET /v1/models or a name of MODEL_ALIASES; else the default."
    )
    messages: Annotated[list[Message], Field(min_length=1)] = Field(
        description="The conversation, oldest first; the last one is the user's. "
        "At most MAX_HISTORY_LENGTH before it."
    )
    system: TextBlocks = Field([], description="How the model shall behave.")
    tools: Annotated[list[AnyTool], Field(max_length=MOST_TOOLS)] = Field([])
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = Field(None, description="Left out: `disabled`.")
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = Field(None, description="As `output_config.format`.")


StopText = Annotated[Plain, Field(min_length=1, max_length=64)]


class MessagesRequest(CountRequest):
    """A prompt, and how it is to be answered."""

    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1), WHOLE] = Field(
        description="Longest answer with its thinking, as far as the model's context allows."
    )
    stream: bool = Field(False, description="Answer with server-sent events.")
    stop_sequences: Annotated[list[StopText], Field(max_length=16)] = Field(
        [], description="End the answer before any of these texts."
    )
    temperature: float = Field(
        DEFAULT.temperature, ge=0, le=2, description="0 always takes the likeliest token."
    )
    top_p: float = Field(
        DEFAULT.top_p, ge=0, le=1, description="Keep the likeliest tokens up to this sum; 1: all."
    )
    top_k: Annotated[int, Field(ge=0, le=1000), WHOLE] = Field(
        DEFAULT.top_k, description="Keep so many of the likeliest; 0: all."
    )
