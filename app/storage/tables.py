"""The tables. A conversation is a tree of messages, one row each, linked by parent.

A conversation has at most one ``generating`` message. The unique index ``one_turn`` enforces it, so
it holds for any number of server processes. Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.storage.database import Table

Status = Literal["complete", "generating", "stopped", "failed"]

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the type is exactly INTEGER."""


HIDDEN = ""
"""The owner of a conversation that is being removed or imported: no user sees it."""


class Conversation(Table):
    """A tree of messages, and the leaf of the branch that the next question follows.

    ``setup`` holds the defaults of a turn: see ``app/conversations/defaults.py``.
    """

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "owner", "updated_at", "id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    setup: Mapped[dict[str, Any]] = mapped_column(JSON)
    active_leaf_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class Message(Table):
    """One message. A foreign key ensures that its parent is in the same conversation.

    Roles are those of ``provider.types``; ``MessageExtra`` has the parts that are no text.
    ``content`` is the text; ``prompt`` is what the model reads instead, if a template changed it.
    An answer in progress holds a lease, which its server renews every second; if the lease has
    expired, that server died. ``stopping`` asks the server to end the answer.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "id"),
        ForeignKeyConstraint(
            ["conversation_id", "parent_id"], ["messages.conversation_id", "messages.id"]
        ),
        Index(None, "conversation_id", "parent_id"),
        Index(
            "one_turn",
            "conversation_id",
            unique=True,
            # In PostgreSQL too (migrations make the tables): to say it here would load its dialect.
            sqlite_where=text("status = 'generating'"),
        ),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(Serial, primary_key=True)
    id: Mapped[str] = mapped_column(Text)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"))
    parent_id: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    finish_reason: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    context: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[int | None] = mapped_column(BigInteger)
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    stopping: Mapped[bool] = mapped_column(default=False)


class MessageExtra(Table):
    """What some messages have beside their text; ordinary questions and answers have no such row.

    ``listed`` is False for tool calls, tool results and developer messages, which are stored like
    other messages but belong to no exchange of question and answer. Parents are always listed;
    ``previous_id`` is the message before this one if that is an unlisted one. ``parts`` are the
    parts of the message in their order (``store/parts.py``), None if it is images and one text.
    """

    __tablename__ = "message_extras"
    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "message_id"], ["messages.conversation_id", "messages.id"]
        ),
    )

    conversation_id: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    listed: Mapped[bool]
    previous_id: Mapped[str | None] = mapped_column(Text)
    parts: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))


class IndexBacklog(Table):
    """A message whose entries in the search index are not up to date.

    The index has the first ``indexed`` of its grams (None: all), made with this ``title``.
    """

    __tablename__ = "index_backlog"

    seq: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("messages.seq"), primary_key=True, autoincrement=False
    )
    indexed: Mapped[int | None] = mapped_column(BigInteger)
    title: Mapped[str] = mapped_column(Text)


class Removal(Table):
    """A hidden conversation that is deleted piece by piece, from the time ``after`` on.

    Its own ``owner`` is ``HIDDEN``; this ``owner`` is the real one. An incomplete import is such a
    conversation too, so it is deleted if the importing server dies.
    """

    __tablename__ = "removals"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    after: Mapped[int] = mapped_column(BigInteger)


class Truncation(Table):
    """Where the context window of a branch begins: after ``message_id``.

    ``summary`` replaces everything up to that message; without one it is left out.
    """

    __tablename__ = "cuts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "message_id"], ["messages.conversation_id", "messages.id"]
        ),
        UniqueConstraint("conversation_id", "message_id", "kind"),
    )

    seq: Mapped[int] = mapped_column(Serial, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    summary: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)


class Template(Table):
    """One version of a user's prompt template; the highest is the active one.

    A version without a ``body`` marks the template as deleted.
    """

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("owner", "name", "version"),)

    seq: Mapped[int] = mapped_column(Serial, primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[int] = mapped_column(BigInteger)


class Image(Table):
    """An image, stored once however often it is used: a PNG under its SHA-256 (hex).

    ``width`` and ``height`` are in pixels. The transaction that deletes the last ``MessageImage``
    of an image deletes the image too.
    """

    __tablename__ = "images"

    sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)


class MessageImage(Table):
    """An image of a question, and the type, pixels and bytes of the file it was made from.

    ``notes`` are the fields of ``provider.types.ImageNotes`` that are not empty.
    """

    __tablename__ = "message_images"
    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "message_id"], ["messages.conversation_id", "messages.id"]
        ),
    )

    conversation_id: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("images.sha256"), index=True)
    mime: Mapped[str] = mapped_column(Text)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    notes: Mapped[dict[str, str]] = mapped_column(JSON)


class SeenImage(Table):
    """An image in the prompt of an answer: its size in pixels and tokens as the model saw it."""

    __tablename__ = "seen_images"
    __table_args__ = (
        ForeignKeyConstraint(
            ["conversation_id", "message_id"], ["messages.conversation_id", "messages.id"]
        ),
    )

    conversation_id: Mapped[str] = mapped_column(Text, primary_key=True)
    message_id: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(Text)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    tokens: Mapped[int] = mapped_column(Integer)


class IdempotencyKey(Table):
    """The key of a request, for each owner of an API key: the outcome it had, or who makes it.

    ``target`` is the digest of the request without its body, ``body`` that of its body. A running
    attempt has a lease, and no outcome yet; ``claim`` tells attempts apart. An outcome is a
    ``head`` and the compressed ``content``. ``size`` is what the row takes, in bytes.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "expires_at", "size"),)

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    claim: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    head: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    size: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[int] = mapped_column(BigInteger)
