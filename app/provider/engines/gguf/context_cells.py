"""How many tokens the llama.cpp context holds. Light: the API process uses it as well."""

from __future__ import annotations

from app.provider.generation.context_plan import ContextPlan

IDLE_SEQUENCES = 32
"""Conversations that stay in the context beside the active ones."""

MOST_CELLS = 32_768
"""More only where one context is longer: each cell costs time in every attention mask."""


def context_cells(plan: ContextPlan, slots: int) -> int:
    """Cells of the context: keys and values of so many tokens, of all sequences together."""
    cells = max(plan.length, min(plan.cells_of_slots(slots), MOST_CELLS))
    return -(-cells // 256) * 256
