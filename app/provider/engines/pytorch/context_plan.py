"""How many tokens fit into the bytes allowed. Light: the API process asks this as well."""

from __future__ import annotations

from app.provider.engine import EngineLimits

FEWEST = 512
"""Tokens, whatever is allowed; a model with fewer is of no use."""


def plan(trained: int, token_bytes: int, limits: EngineLimits) -> tuple[int, int]:
    """Context length of one request, and tokens of all rows together.

    ``trained`` is the model's own context (0: unknown), ``token_bytes`` the keys and values of one
    token.
    """
    affordable = max(FEWEST, limits.kv_cache_bytes // max(1, token_bytes))
    length = min(limits.context_length or affordable, trained or affordable)
    return length, max(length, affordable)
