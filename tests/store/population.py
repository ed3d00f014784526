"""Rows as each revision of the database held them, in SQL, so that later models cannot change them.

A new revision adds its entry: rows of its tables, or nothing where it only changes what is there.
"""

from __future__ import annotations

ROWS = {
    "0001": (
        """
        INSERT INTO conversations
        (id, owner, title, setup, active_leaf_id, created_at, updated_at) VALUES
        ('c1', 'key-1', 'A dog named 뭉치', '{"system": "Be brief.", "sampling": {}}',
         'm4', 10, 40),
        ('c2', 'key-2', 'Nothing yet', '{}', NULL, 50, 50)
        """,
        """
        INSERT INTO messages
        (id, conversation_id, parent_id, role, status, content, prompt, model, finish_reason,
         usage, context, error, created_at, finished_at, lease_until, stopping) VALUES
        ('m1', 'c1', NULL, 'user', 'complete', 'What do I call it?', 'Q: What do I call it?',
         NULL, NULL, NULL, NULL, NULL, 10, 10, NULL, false),
        ('m2', 'c1', 'm1', 'assistant', 'stopped', '뭉', NULL, 'starter', 'cancelled',
         '{"prompt_tokens": 7}', '{"dropped": []}', NULL, 11, 12, NULL, true),
        ('m3', 'c1', 'm1', 'assistant', 'failed', '', NULL, 'starter', NULL,
         NULL, NULL, 'The engine died.', 13, 14, NULL, false),
        ('m4', 'c1', 'm1', 'assistant', 'generating', 'It is ', NULL, 'starter', NULL,
         NULL, NULL, NULL, 15, NULL, 9000, false)
        """,
    ),
    "0002": (
        """
        INSERT INTO templates (owner, name, version, body, created_at) VALUES
        ('key-1', 'pirate', 1, '{"system": "Arr."}', 60),
        ('key-1', 'pirate', 2, NULL, 70)
        """,
    ),
    "0003": (
        """
        INSERT INTO cuts (conversation_id, message_id, kind, summary, created_at) VALUES
        ('c1', 'm1', 'summary', 'They asked for a name.', 80)
        """,
    ),
    "0004": (
        """
        INSERT INTO images (sha256, content, width, height, created_at) VALUES
        ('5e', 'PNG', 40, 30, 90)
        """,
        """
        INSERT INTO message_images
        (conversation_id, message_id, position, sha256, mime, width, height, bytes, notes) VALUES
        ('c1', 'm1', 0, '5e', 'image/jpeg', 400, 300, 5000, '{"ocr": "DOG"}')
        """,
        """
        INSERT INTO seen_images
        (conversation_id, message_id, position, sha256, width, height, tokens) VALUES
        ('c1', 'm4', 0, '5e', 56, 28, 2)
        """,
    ),
    "0005": (
        "INSERT INTO index_backlog (seq, indexed, title) VALUES (1, 0, 'A dog named 뭉치')",
        """
        INSERT INTO conversations
        (id, owner, title, setup, active_leaf_id, created_at, updated_at) VALUES
        ('c3', '', 'Gone', '{}', NULL, 60, 60)
        """,
        "INSERT INTO removals (conversation_id, owner, after) VALUES ('c3', 'key-2', 0)",
    ),
    "0006": (
        """
        INSERT INTO message_extras (conversation_id, message_id, listed, previous_id, parts) VALUES
        ('c1', 'm2', true, NULL, '[{"type": "thinking", "text": "A dog."}, {"type": "text"}]')
        """,
    ),
    "0007": (
        """
        INSERT INTO idempotency_keys
        (owner, key, claim, target, body, lease_until, head, content, size, expires_at) VALUES
        ('key-1', 'once', 'a1', '7a', '0b', NULL, '{"status": 200}', 'x', 513, 9000),
        ('key-1', 'now', 'a2', '7a', NULL, 9000, NULL, NULL, 512, 9000)
        """,
    ),
}
