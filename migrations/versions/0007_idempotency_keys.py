"""Outcomes of requests that carry an idempotency key."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table. The index sums the sizes without reading the outcomes."""
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("claim", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("head", sa.JSON),
        sa.Column("content", sa.LargeBinary),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index(
        op.f("ix_idempotency_keys_expires_at_size"), "idempotency_keys", ["expires_at", "size"]
    )
