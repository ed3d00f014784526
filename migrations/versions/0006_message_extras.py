"""What some messages have beside their text: thinking, tool calls, tool results; other roles."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table. No row of another table changes: roles are texts without a constraint."""
    op.create_table(
        "message_extras",
        sa.Column("conversation_id", sa.Text, primary_key=True),
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("previous_id", sa.Text),
        sa.Column("parts", sa.JSON),
        sa.ForeignKeyConstraint(
            ["conversation_id", "message_id"], ["messages.conversation_id", "messages.id"]
        ),
    )
