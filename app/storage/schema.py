"""What a database has at the newest revision: a start compares it with what it finds.

``tables.py`` describes the same for the mapper, which takes long to load; a test compares them.
"""

from __future__ import annotations

SEARCH_INDEX = "message_grams"
"""The table of the search index, whose columns depend on the kind of database."""

FIRST_TABLES = frozenset({"conversations", "messages"})
"""Tables of the first revision: a database that has them must also name a revision."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "conversations": (
        "id",
        "owner",
        "title",
        "setup",
        "active_leaf_id",
        "created_at",
        "updated_at",
    ),
    "images": ("sha256", "content", "width", "height", "created_at"),
    "templates": ("seq", "owner", "name", "version", "body", "created_at"),
    "messages": (
        "seq",
        "id",
        "conversation_id",
        "parent_id",
        "role",
        "status",
        "content",
        "prompt",
        "model",
        "finish_reason",
        "usage",
        "context",
        "error",
        "created_at",
        "finished_at",
        "lease_until",
        "stopping",
    ),
    "removals": ("conversation_id", "owner", "after"),
    "cuts": ("seq", "conversation_id", "message_id", "kind", "summary", "created_at"),
    "idempotency_keys": (
        "owner",
        "key",
        "claim",
        "target",
        "body",
        "lease_until",
        "head",
        "content",
        "size",
        "expires_at",
    ),
    "index_backlog": ("seq", "indexed", "title"),
    "message_extras": ("conversation_id", "message_id", "listed", "previous_id", "parts"),
    "message_images": (
        "conversation_id",
        "message_id",
        "position",
        "sha256",
        "mime",
        "width",
        "height",
        "bytes",
        "notes",
    ),
    "seen_images": (
        "conversation_id",
        "message_id",
        "position",
        "sha256",
        "width",
        "height",
        "tokens",
    ),
}
"""Table → its columns."""
