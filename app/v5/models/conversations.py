"""What ``/conversations`` gives from v5 on: messages with their pictures."""

from __future__ import annotations

from pydantic import Field

from app.v4.models import conversations as v4
from app.v5.models.chat import Context
from app.v5.models.images import StoredImage


class StoredMessage(v4.StoredMessage):
    """A question, or an answer, which may still be being made."""

    context: Context | None
    images: list[StoredImage] = Field(description="Of a question; an answer has none.")


class ConversationMessages(v4.ConversationMessages):
    """A conversation and a page of its messages, oldest first."""

    # The list is never changed, so its items may have a narrower type than those of v4.
    messages: list[StoredMessage]  # type: ignore[assignment]
