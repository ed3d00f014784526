"""Conversations as trees of messages, and the index that finds them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables and the full-text index."""
    _conversations()
    _messages()
    _search()


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("setup", sa.JSON, nullable=False),
        sa.Column("active_leaf_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        op.f("ix_conversations_owner_updated_at_id"),
        "conversations",
        ["owner", "updated_at", "id"],
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("seq", SERIAL, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversations.id"), nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("finish_reason", sa.Text),
        sa.Column("usage", sa.JSON),
        sa.Column("context", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("stopping", sa.Boolean, nullable=False),
        sa.UniqueConstraint("conversation_id", "id"),
        sa.ForeignKeyConstraint(
            ["conversation_id", "parent_id"], ["messages.conversation_id", "messages.id"]
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_messages_conversation_id_parent_id"), "messages", ["conversation_id", "parent_id"]
    )
    generating = sa.text("status = 'generating'")
    op.create_index(
        "one_turn",
        "messages",
        ["conversation_id"],
        unique=True,
        sqlite_where=generating,
        postgresql_where=generating,
    )


def _search() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE message_grams USING fts5("
            "grams, content='', tokenize='ascii', detail=none, columnsize=0)"
        )
        # No large merges within a commit: the server asks for small ones instead.
        op.execute(
            "INSERT INTO message_grams(message_grams, rank) "
            "VALUES ('automerge', 0), ('crisismerge', 64), ('usermerge', 8)"
        )
    else:
        op.create_table(
            "message_grams",
            sa.Column("seq", sa.BigInteger, sa.ForeignKey("messages.seq"), primary_key=True),
            sa.Column("grams", postgresql.ARRAY(sa.Integer), nullable=False),
        )
        op.create_index(
            op.f("ix_message_grams_grams"),
            "message_grams",
            ["grams"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        )
