"""How long a context may be within the bytes allowed. Light: the API process uses it as well."""

from __future__ import annotations

from dataclasses import dataclass

from app.provider.engine import EngineLimits

FEWEST_TOKENS = 512
"""Planned even where fewer bytes are allowed: a model with a shorter context is of no use."""


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """Tokens of one request with its answer (``length``), and how many are ``affordable`` at all.

    ``trained`` is the context that the model was trained for, or ``affordable`` where that is
    unknown.
    """

    length: int
    affordable: int
    trained: int

    @property
    def cells(self) -> int:
        """Tokens of all requests together."""
        return max(self.length, self.affordable)

    @classmethod
    def of(
        cls, trained: int, token_bytes: int, limits: EngineLimits, kv_bytes: int | None = None
    ) -> ContextPlan:
        """Plan for a model ``trained`` on so many tokens (0: unknown).

        ``token_bytes`` are the keys and values of one token. ``kv_bytes`` hold all of them:
        ``limits.kv_cache_bytes`` unless they are given.
        """
        allowed = limits.kv_cache_bytes if kv_bytes is None else kv_bytes
        affordable = max(FEWEST_TOKENS, allowed // max(1, token_bytes))
        trained = trained or affordable
        return cls(min(limits.context_length or affordable, trained), affordable, trained)

    def cells_of_slots(self, slots: int) -> int:
        """Tokens of all requests together, never more than ``slots`` of them can use."""
        return max(self.length, min(self.affordable, slots * self.length))
