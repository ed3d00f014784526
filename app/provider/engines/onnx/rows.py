"""Assigns rows of the arena to requests and reuses computed prefixes.

Rows of running answers come first, without a gap, because one call computes the first rows.
Prompts in prefill use the rows behind them. When an answer ends, its row is copied to the prefix
store.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from app.provider.engines.onnx.kv_arena import KvArena, State
from app.provider.generation.prefix_cache import PrefixStore, best_prefix


@dataclass(slots=True, eq=False)
class Row:
    """A sequence in the arena. ``tokens`` are computed; they may grow to ``room`` tokens."""

    index: int
    owner: str
    room: int
    tokens: array[int]


class Rows:
    """Hands out rows that hold the longest computed prefix; all of them have ``cells`` tokens."""

    def __init__(self, arena: KvArena, cells: int, store: PrefixStore[State]) -> None:
        self._arena = arena
        self._cells = cells
        self._store = store
        self._rows: list[Row | None] = [None] * len(arena.written)
        self.running = 0

    def claim(self, owner: str, prompt: array[int], room: int) -> Row | None:
        """Take a row with a prefix of ``prompt``, never all of it; None when there is no room."""
        taken = sum(row.room for row in self._taken())
        if taken and taken + room > self._cells:
            return None
        index = self._rows.index(None, self.running)
        row = Row(index, owner, room, array("i"))
        self._reserve_memory(row)
        self._take_over(row, prompt[:-1])
        self._rows[index] = row
        return row

    def start(self, row: Row) -> None:
        """Move a row whose prefill is done behind the running rows."""
        target = self.running
        other = self._rows[target]
        if other is None:
            self._move(row, target)
        elif other is not row:
            self._arena.swap(row.index, target, max(len(row.tokens), len(other.tokens)))
            self._rows[row.index], other.index = other, row.index
            self._rows[target], row.index = row, target
        self.running += 1

    def release(self, row: Row) -> None:
        """Keep the computed prefix for the next prompt, and close the gap between the rows."""
        self._arena.mark_written(row.index, len(row.tokens))
        self._keep(row)
        self._rows[row.index] = None
        if row.index < self.running:
            self.running -= 1
            last = self._rows[self.running]
            if last is not None:
                self._move(last, row.index)

    def _keep(self, row: Row) -> None:
        length = len(row.tokens)
        size = length * self._arena.cell_bytes
        self._store.keep(row.owner, row.tokens, size, lambda: self._arena.save(row.index, length))

    def _take_over(self, row: Row, wanted: array[int]) -> None:
        """Copy the owner's longest prefix of ``wanted``, from another row or from the store."""
        source, shared = best_prefix(row.owner, wanted, self._taken(), more_than=0)
        kept, length = self._store.find(row.owner, wanted, more_than=shared)
        if kept is not None:
            self._arena.restore(row.index, kept.state, length)
            shared = length
        elif source is not None:
            self._arena.copy(source.index, row.index, shared)
        row.tokens = wanted[:shared]

    def _move(self, row: Row, target: int) -> None:
        if row.index != target:
            self._release_more_than(row.room, target)
            self._arena.copy(row.index, target, len(row.tokens))
            self._rows[row.index], self._rows[target] = None, row
            row.index = target

    def _reserve_memory(self, row: Row) -> None:
        """Release the memory of free rows when all rows together would take too much."""
        self._release_more_than(row.room, row.index)
        free = {index for index, other in enumerate(self._rows) if other is None} - {row.index}
        held = sum(self._arena.written[index] for index in free)
        if held + row.room + sum(one.room for one in self._taken()) > self._cells:
            for index in free:
                self._arena.release_memory(index)

    def _release_more_than(self, room: int, index: int) -> None:
        """Release the memory of a free row that once held more than ``room`` tokens."""
        if self._arena.written[index] > room:
            self._arena.release_memory(index)

    def _taken(self) -> Iterator[Row]:
        return (row for row in self._rows if row is not None)
