"""What the server says of itself in the protocol.

It imports nothing: the command ``mcp`` says the same before anything could be imported.
"""

from __future__ import annotations

NAME = "sllm"
TITLE = "FastAPI SLLM API"
VERSION = "0.1.0"
"""That of the package; a test compares them."""

INSTRUCTIONS = (
    "Small language models on the user's own machine. Use `chat` for a second opinion or a draft "
    "that shall not leave the machine, `describe_image` for pictures, `embed` and `rerank` to find "
    "texts by meaning, and `search_conversations` for what was said before. The models are small: "
    "give them one task at a time, and check their answers."
)

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions that begin with ``initialize``, the oldest first."""
VERSIONS = ("2026-07-28",)
"""Revisions in which each request names its own."""

HOUR = 3_600_000
"""Milliseconds for which a client may keep what is the same for everybody."""
