"""How long a context may be, and how many cells hold all of them, within the bytes allowed."""

from __future__ import annotations

from app.provider.engine import EngineLimits

IDLE_SEQUENCES = 32
"""Conversations that stay in the context beside the active ones."""

MOST_CELLS = 32_768
"""More only where one context is longer: each cell costs time in every attention mask."""


def plan(trained: int, bytes_per_cell: int, limits: EngineLimits) -> tuple[int, int]:
    """Tokens of one request with its answer, and cells for all requests.

    ``trained`` is the context the model was trained for, a cell the keys and values of a token.
    """
    affordable = max(512, limits.kv_cache_bytes // max(1, bytes_per_cell))
    length = min(limits.context_length or affordable, trained)
    cells = max(length, min(affordable, limits.slots * length, MOST_CELLS))
    return length, -(-cells // 256) * 256
