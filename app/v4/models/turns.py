"""What stopping a turn, counting and titling give."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.web.schema import WireModel


class Stopped(WireModel):
    """What was stopped; nulls where nothing was running."""

    conversation_id: str
    message_id: str | None = Field(description="Of the answer that was being made.")
    status: Literal["complete", "generating", "stopped", "failed"] | None = Field(
        description="Its status now; generating, if its maker has not noticed within 5 seconds."
    )


class TokenCount(WireModel):
    """How much of the context a chat request would take."""

    model: str
    prompt_tokens: int = Field(description="With the chat template, and nothing left out.")
    limit: int = Field(description="Tokens that the context holds, prompt and answer together.")
    fits: bool = Field(description="Whether the prompt alone fits.")


class Titled(WireModel):
    """The conversation's new title."""

    id: str
    title: str
