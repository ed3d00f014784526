"""How many tokens fit into the bytes allowed. Light: the API process asks this as well."""

from __future__ import annotations

from app.provider.engine import EngineLimits

FEWEST_CELLS = 512
"""Tokens, whatever is allowed; a model with fewer is of no use."""


def plan(trained: int, cell_bytes: int, limits: EngineLimits) -> tuple[int, int]:
    """Context length of one request, and cells for all.

    ``trained`` is the model's own context, a cell the keys and values of one token.
    """
    affordable = max(FEWEST_CELLS, limits.kv_cache_bytes // max(1, cell_bytes))
    length = min(limits.context_length or affordable, trained or affordable)
    return length, max(length, min(affordable, limits.slots * length))
