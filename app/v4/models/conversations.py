"""What ``/conversations`` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from app.conversations.store.conversations import MAX_TITLE_LENGTH
from app.v1.models.chat import Usage
from app.v3.models.template import Value
from app.v4.models.chat import Context, FinishReason, Id
from app.web.paging import PageQuery
from app.web.schema import Plain, WireModel
from app.web.timestamps import Moment


def _not_blank(title: str) -> str:
    if not title.strip():
        raise ValueError("must not be blank")
    return title


Title = Annotated[
    Plain,
    Field(
        min_length=1,
        max_length=MAX_TITLE_LENGTH,
        json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
    ),
    AfterValidator(_not_blank),
]
"""Of a conversation."""


def _never_null(schema: dict[str, Any]) -> None:
    """Describe a field that may be left out but not be null."""
    del schema["default"]
    schema |= next(kind for kind in schema.pop("anyOf") if kind != {"type": "null"})


Status = Literal["complete", "generating", "stopped", "failed"]


class ConversationsQuery(PageQuery):
    """Which conversations."""

    query: Annotated[str, Field(max_length=200)] | None = Field(
        None,
        description="Only conversations with a message that holds each of these words, as a word "
        "or a part of one. The title counts as a part of the first question.",
    )


class MessagesQuery(PageQuery):
    """Which messages of a conversation."""

    branch: Literal["active", "all"] = Field(
        "active", description="The active branch, or every message of the tree."
    )
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(500, description="Messages of the page.")


class Conversation(WireModel):
    """A conversation, as a list shows it."""

    id: str
    title: str
    created_at: Moment
    updated_at: Moment = Field(description="When a question was last asked or answered.")
    active_leaf_id: str | None = Field(description="The message that the active branch ends with.")
    model: str | None = Field(description="Null: the server's default model.")
    template: str | None = Field(description="The name of its prompt template; null: none.")


class Match(WireModel):
    """The newest message of a conversation that holds what was looked for."""

    message_id: str
    snippet: str = Field(description="Some of its text, around the place.")


class ListedConversation(Conversation):
    """A conversation and, if something was looked for, where it was found."""

    match: Match | None = Field(description="Null without a query.")


class ConversationPage(WireModel):
    """Conversations, the last used first; with a query, those with the newest match."""

    conversations: list[ListedConversation]
    next_cursor: str | None = Field(description="For the next page; null: this is the last.")


class ConversationDetail(Conversation):
    """A conversation with all that it keeps to."""

    system: str | None
    variables: dict[str, Value]


class StoredMessage(WireModel):
    """A question, or an answer, which may still be being made."""

    id: str
    parent_id: str | None = Field(description="The message before it; null: a first question.")
    role: Literal["user", "assistant"]
    status: Status
    content: str
    model: str | None = Field(description="That answered; null for a question.")
    finish_reason: FinishReason | None
    usage: Usage | None
    context: Context | None
    error: str | None = Field(description="Why an answer failed.")
    created_at: Moment
    finished_at: Moment | None


class ConversationMessages(ConversationDetail):
    """A conversation and a page of its messages, oldest first."""

    messages: list[StoredMessage]
    next_cursor: str | None = Field(
        description="For the page of older messages before these; null: there are none."
    )


class ConversationChange(WireModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    title: Title | None = Field(None, json_schema_extra=_never_null)
    active_leaf_id: Id | None = Field(
        None,
        description="Any message of the conversation. The next question follows it.",
        json_schema_extra=_never_null,
    )

    @field_validator("title", "active_leaf_id", mode="before")
    @classmethod
    def _given(cls, value: object) -> object:
        if value is None:
            raise ValueError("leave it out where it shall stay")
        return value

    @model_validator(mode="after")
    def _something(self) -> ConversationChange:
        if not self.model_fields_set:
            raise ValueError("name a title, an active_leaf_id, or both")
        return self


CHANGE_EXAMPLES: dict[str, Any] = {
    "title": {"summary": "Another title", "value": {"title": "Streaming, explained"}},
}
"""Bodies that work as they are."""
