"""The data of the events that v3 changes."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.v2.models import events as v2


class MessageEvent(v2.MessageEvent):
    """``message``: always first."""

    template: str | None = Field(description="The prompt template that is used; null: none.")


EVENTS: dict[str, type[BaseModel]] = {**v2.EVENTS, "message": MessageEvent}
"""Event name → what its data is."""

STREAM_DOCUMENTATION = v2.stream_documentation(
    EVENTS, v2.STREAM_EXAMPLE.replace('"starter"}', '"starter","template":"default"}')
)
