"""The prefix cache where all sequences share the cells of the context.

A sequence that begins like another one shares its cells, so a copy costs nothing. But attention
passes over the cells of idle sequences too.
"""

from __future__ import annotations

import itertools

from app.provider.engines.gguf.cache import PrefixCache, Sequence
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.generation.prefix_cache import common_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt

MOST_IDLE_CELLS = 1024
"""More cells of idle sequences leave for RAM.

With a 0.5B model on 2 cores 1024 of them slow the reading of a prompt down by a twentieth, 2048
by a tenth or more; copying 340 tokens out takes a millisecond, and back as much.
"""


class UnifiedCache(PrefixCache):
    """Promises each active sequence the cells that it may need."""

    def __init__(
        self, context: LlamaContext, layout: ContextLayout, *, parked_bytes: int, whole_only: bool
    ) -> None:
        super().__init__(context, layout, parked_bytes=parked_bytes, whole_only=whole_only)
        self._cells = layout.cells
        self._segments = itertools.count()

    def claim(self, prompt: PreparedPrompt, room: int) -> Sequence | None:
        """Find or make a sequence; None when active sequences leave too few cells."""
        wanted = prompt.tokens[:-1]
        resident = itertools.chain(self._active.values(), self._idle.values())
        source, shared = self._best(prompt, wanted, resident)
        parked = self._best_parked(prompt, wanted, more_than=shared)
        if parked is not None:
            sequence = self._unpark(parked, prompt, room)
        elif source is not None and source.id in self._idle and shared == len(source.tokens):
            sequence = self._continue(source, room)
        else:
            sequence = self._share(source, shared, prompt, room)
        if sequence is not None:
            self._cut(sequence, prompt, common_prefix(sequence.tokens, wanted))
            sequence.room = room
            self._active[sequence.id] = sequence
            self._shed_idle()
        return sequence

    def grow(self, sequence: Sequence, tokens: list[int]) -> None:
        """Record that ``tokens`` are computed."""
        super().grow(sequence, tokens)
        if sequence.own_segment < 0:
            sequence.own_segment = next(self._segments)
            sequence.cells.append((sequence.own_segment, 0))
        segment, length = sequence.cells[-1]
        sequence.cells[-1] = (segment, length + len(tokens))

    def close_gaps(self) -> None:
        """Do nothing: a batch is computed in one pass, whatever its sequences."""

    # ---------------------------------------------------------------- claiming

    def _continue(self, source: Sequence, room: int) -> Sequence | None:
        """Take over an idle sequence of which the prompt is a continuation."""
        if not self._make_room(room - len(source.tokens), ids=0, keep=source):
            return None
        return self._idle.pop(source.id)

    def _share(
        self, source: Sequence | None, shared: int, prompt: PreparedPrompt, room: int
    ) -> Sequence | None:
        """Begin a new sequence that shares the cells of the common prefix."""
        if not self._make_room(room - shared, ids=1, keep=source):
            return self._consume(source, room)
        sequence = Sequence(self._free_ids.pop(), prompt.owner)
        if source is not None and shared:
            self._context.copy(source.id, sequence.id, prompt.position(shared))
            sequence.tokens = source.tokens[:shared]
            sequence.cells = _cut_cells(source.cells, shared)
        return sequence

    def _consume(self, source: Sequence | None, room: int) -> Sequence | None:
        """Reuse the source itself where there is no room for a copy beside it."""
        if source is None or source.id not in self._idle:
            return None
        del self._idle[source.id]
        if self._make_room(room, ids=0, keep=None):
            self._parked.park(source.id, source.owner, source.tokens)
            return source
        self._idle[source.id] = source
        return None

    def _unpark(self, number: int, prompt: PreparedPrompt, room: int) -> Sequence | None:
        """Copy a parked sequence back."""
        parked = self._parked[number]
        if not self._make_room(max(room, len(parked.tokens)), ids=1, keep=None):
            return None
        return self._restore(parked, number, self._free_ids.pop(), prompt.tokens[:-1])

    def _cut(self, sequence: Sequence, prompt: PreparedPrompt, length: int) -> None:
        before = len(sequence.tokens)
        super()._cut(sequence, prompt, length)
        if len(sequence.tokens) < before:
            sequence.cells = _cut_cells(sequence.cells, len(sequence.tokens))
            sequence.own_segment = -1

    # ---------------------------------------------------------------- room

    def _make_room(self, cells: int, *, ids: int, keep: Sequence | None) -> bool:
        """Evict idle sequences, least recently used first, until there is room."""
        while self._free_cells() < cells or len(self._free_ids) < ids:
            leaving = next((one for one in self._idle.values() if one is not keep), None)
            if leaving is None:
                return False
            self._evict(leaving)
        return True

    def _shed_idle(self) -> None:
        """Evict idle sequences down to MOST_IDLE_CELLS."""
        while self._held(idle=True) - self._held(idle=False) > MOST_IDLE_CELLS:
            self._evict(next(iter(self._idle.values())))

    def _free_cells(self) -> int:
        """Cells that no sequence holds and no active one may still need."""
        promised = sum(max(0, one.room - len(one.tokens)) for one in self._active.values())
        return self._cells - self._held(idle=True) - promised

    def _held(self, *, idle: bool) -> int:
        """Cells of the active sequences, and of the idle ones; a shared cell counts once."""
        held: dict[int, int] = {}
        for sequence in (*self._active.values(), *(self._idle.values() if idle else ())):
            for segment, length in sequence.cells:
                held[segment] = max(length, held.get(segment, 0))
        return sum(held.values())


def _cut_cells(cells: list[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Leading segments that hold ``length`` cells together."""
    kept = []
    for segment, size in cells:
        if length <= 0:
            break
        kept.append((segment, min(size, length)))
        length -= size
    return kept
