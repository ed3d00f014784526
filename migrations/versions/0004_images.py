"""Pictures of conversations, each kept once."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "images",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "message_images",
        *_place(),
        sa.Column("sha256", sa.Text, sa.ForeignKey("images.sha256"), nullable=False),
        sa.Column("mime", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        _of_message(),
    )
    op.create_index(op.f("ix_message_images_sha256"), "message_images", ["sha256"])
    op.create_table(
        "seen_images",
        *_place(),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        _of_message(),
    )


def _place() -> tuple[sa.Column, ...]:
    return (
        sa.Column("conversation_id", sa.Text, primary_key=True),
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
    )


def _of_message() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["conversation_id", "message_id"], ["messages.conversation_id", "messages.id"]
    )
