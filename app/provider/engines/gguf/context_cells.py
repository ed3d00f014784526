"""How the cells of the llama.cpp context are divided. Light: the API process uses it as well.

A cell holds the key and the value of one token in every layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.provider.generation.context_plan import ContextPlan

IDLE_SEQUENCES = 32
"""Conversations that stay in a unified context beside the active ones."""

MOST_CELLS = 32_768
"""More in a unified context only where one sequence is longer: each costs time in every mask."""

_PADDING = 256
"""llama.cpp takes cells in such blocks."""


@dataclass(frozen=True, slots=True)
class ContextLayout:
    """The ``cells`` of all ``sequences``: unified, or as many for each in a stream of its own.

    In unified memory the attention of every token passes over the cells of all sequences: with
    eight answers of 400 tokens a small model makes a sixth fewer tokens.
    """

    cells: int
    sequences: int
    streams: bool

    @classmethod
    def of(cls, plan: ContextPlan, slots: int) -> ContextLayout:
        """Give each slot a stream where the planned bytes hold a whole context for each."""
        stream = _padded(plan.length)
        if slots * stream <= plan.affordable:
            return cls(slots * stream, slots, streams=True)
        cells = _padded(max(plan.length, min(plan.cells_of_slots(slots), MOST_CELLS)))
        return cls(cells, slots + IDLE_SEQUENCES, streams=False)

    def __str__(self) -> str:
        """The layout in words, for the log and the user."""
        if self.streams:
            return f"{self.sequences} streams of {self.cells // self.sequences:,} tokens"
        return f"unified, {self.cells:,} tokens"


def _padded(cells: int) -> int:
    return -(-cells // _PADDING) * _PADDING
