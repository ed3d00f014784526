"""The tables. A conversation is a tree of messages, one row each, linked by parent.

A conversation has at most one ``generating`` message: the index ``one_turn`` says so, not the
program, so it holds between any number of server processes. Times are milliseconds since 1970.
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
"""The owner of a conversation that is being removed, or is not complete yet: nobody."""


class Conversation(Table):
    """A tree of messages, and the leaf of the branch that the next question follows.

    ``setup`` is what a turn keeps to unless a request says otherwise; see ``services.setup``.
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
    """One message. A parent belongs to the same conversation: the foreign key sees to it.

    ``content`` is the text; ``prompt`` what the model reads in its place, where a template
    wrapped it. An answer that is being made holds a lease: its maker renews it every second, and
    one that has run out belongs to a maker that died. ``stopping`` asks the maker to end it.
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
            sqlite_where=text("status = 'generating'"),
            postgresql_where=text("status = 'generating'"),
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


class IndexBacklog(Table):
    """A message whose entries in the search index do not say what they should yet.

    Only the first ``indexed`` of its grams are there (None: all), made with this ``title``.
    """

    __tablename__ = "index_backlog"

    seq: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("messages.seq"), primary_key=True, autoincrement=False
    )
    indexed: Mapped[int | None] = mapped_column(BigInteger)
    title: Mapped[str] = mapped_column(Text)


class Removal(Table):
    """A conversation that nobody sees and that is taken away piece by piece, from ``after`` on.

    Its own ``owner`` is ``HIDDEN``; the one here is whose it was. An import that is not complete
    yet is such a conversation too: where the importing server dies, it goes away.
    """

    __tablename__ = "removals"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    after: Mapped[int] = mapped_column(BigInteger)


class Truncation(Table):
    """Where the model's view of a branch begins: after ``message_id``.

    ``summary`` stands for everything up to that message; without one it is left out.
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
    """One version of a user's prompt template; the highest is in force.

    Without a ``body`` the template is deleted as of this version.
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
    """A picture, kept once however often it is used: a PNG by the SHA-256 of it (hex).

    ``width`` and ``height`` are its pixels. A row without a ``MessageImage`` never outlives the
    transaction that took the last one away.
    """

    __tablename__ = "images"

    sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)


class MessageImage(Table):
    """A picture of a question, and the file it was made from: its type, pixels and bytes.

    ``notes`` are the fields of ``provider.types.ImageNotes`` that say something.
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
    """A picture of the prompt of an answer, as its model saw it: in so many pixels and tokens."""

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
