"""What ``/v1/conversations`` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.openai.models.base import Body
from app.openai.models.response_input import InputItem, Metadata

MOST_NEW_ITEMS = 20

NewItems = Annotated[list[InputItem], Field(max_length=MOST_NEW_ITEMS)]


class MetadataBody(Body):
    """Texts of the client, which take the place of those that were there."""

    metadata: Metadata = Field({}, description="At most 16.")

    @classmethod
    def harmless(cls) -> frozenset[str]:
        """Nothing is ignored."""
        return frozenset()


class ConversationBody(MetadataBody):
    """A new conversation."""

    items: NewItems = Field([], description="What it begins with.")


class ItemsBody(Body):
    """Items for the end of a conversation."""

    items: NewItems


class ConversationObject(BaseModel):
    """A conversation; other dialects show it too, under the id without its beginning."""

    id: str
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, str]


class DeletedConversation(BaseModel):
    """A conversation that is gone, with all that was in it."""

    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]


class ItemList(BaseModel):
    """A page of items."""

    object: Literal["list"]
    data: list[dict[str, Any]] = Field(description="Like the items of a response.")
    first_id: str | None
    last_id: str | None
    has_more: bool


CREATE_EXAMPLES: dict[str, Any] = {
    "empty": {"summary": "An empty conversation", "value": {"metadata": {"topic": "demo"}}},
    "items": {
        "summary": "One that begins with a message",
        "value": {"items": [{"type": "message", "role": "user", "content": "Hello!"}]},
    },
}
"""Bodies that work as they are."""
