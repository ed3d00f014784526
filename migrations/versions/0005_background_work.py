"""Work on large texts and conversations that is done later, in short transactions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "index_backlog",
        sa.Column("seq", sa.BigInteger, sa.ForeignKey("messages.seq"), primary_key=True),
        sa.Column("indexed", sa.BigInteger),
        sa.Column("title", sa.Text, nullable=False),
    )
    op.create_table(
        "removals",
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversations.id"), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("after", sa.BigInteger, nullable=False),
    )
