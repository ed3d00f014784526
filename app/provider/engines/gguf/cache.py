"""The prefix cache: computed sequences in the context, and those parked in RAM.

A finished request leaves its sequence behind. The next prompt of the same owner continues it
(an earlier turn) or shares its cells (a common system prompt). When cells or sequence ids run
out, the least recently used sequence is parked: copied to RAM, and copied back when its
conversation goes on. Owners never share.

A token takes one cell, but llama.cpp copies and cuts by positions, and images have fewer positions
than tokens. Positions are computed from the new prompt: the prefix that it shares with a sequence
holds the same images, and each of them whole.
"""

from __future__ import annotations

import itertools
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.provider.engines.gguf.context import LlamaContext
from app.provider.generation.prefix_cache import common_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt

MOST_IDLE_CELLS = 1024
"""Attention passes over the cells of idle sequences too; more of them leave for RAM.

With a 0.5B model on 2 cores 1024 of them slow the reading of a prompt down by a twentieth, 2048
by a tenth or more; copying 340 tokens out takes 6 ms, and back less than one.
"""

SHORTEST_PARKED = 64
"""Tokens; computing fewer again is as cheap as copying them."""


@dataclass(slots=True)
class Sequence:
    """Tokens whose keys and values are in the context.

    ``room`` is what an active sequence may grow to. ``cells`` records which cells it holds, as
    lengths of segments; sequences that share a prefix hold the same leading segments.
    """

    id: int
    owner: str
    room: int = 0
    tokens: array[int] = field(default_factory=lambda: array("i"))
    cells: list[tuple[int, int]] = field(default_factory=list)
    own_segment: int = -1


@dataclass(frozen=True, slots=True)
class ParkedSequence:
    """A sequence outside the context."""

    owner: str
    tokens: array[int]
    state: bytes


class PrefixCache:
    """Hands out sequences that hold the longest computed prefix of a prompt."""

    def __init__(
        self,
        context: LlamaContext,
        *,
        cells: int,
        sequences: int,
        parked_bytes: int,
        whole_only: bool,
    ) -> None:
        self._context = context
        self._cells = cells
        self._parked_bytes = parked_bytes
        self._whole_only = whole_only
        self._free_ids = list(range(sequences))
        self._active: dict[int, Sequence] = {}
        self._idle: OrderedDict[int, Sequence] = OrderedDict()  # least recently used first
        self._parked: OrderedDict[int, ParkedSequence] = OrderedDict()
        self._parked_size = 0
        self._numbers = itertools.count()

    def claim(self, prompt: PreparedPrompt, room: int) -> Sequence | None:
        """Find or make a sequence that holds a prefix of ``prompt`` and may grow to ``room``.

        The last token is never taken from the cache: its logits are needed. None when active
        sequences leave no room.
        """
        wanted = prompt.tokens[:-1]
        resident = itertools.chain(self._active.values(), self._idle.values())
        source, shared = self._best(prompt, wanted, resident)
        parked = self._best_parked(prompt, wanted, more_than=shared)
        if parked is not None:
            sequence = self._unpark(parked, wanted, room)
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
        sequence.tokens.extend(tokens)
        if sequence.own_segment < 0:
            sequence.own_segment = next(self._numbers)
            sequence.cells.append((sequence.own_segment, 0))
        segment, length = sequence.cells[-1]
        sequence.cells[-1] = (segment, length + len(tokens))

    def release(self, sequence: Sequence) -> None:
        """Keep a sequence whose request has ended for the next one."""
        del self._active[sequence.id]
        if sequence.tokens:
            self._idle[sequence.id] = sequence
        else:
            self._free_ids.append(sequence.id)

    # ---------------------------------------------------------------- finding

    def _best(
        self, prompt: PreparedPrompt, wanted: array[int], among: Iterable[Sequence]
    ) -> tuple[Sequence | None, int]:
        best, shared = None, 0
        for sequence in among:
            length = self._usable(sequence, prompt, wanted, more_than=shared - 1)
            if length > shared or (length == shared > 0 and sequence.id in self._idle):
                best, shared = sequence, length
        return best, shared

    def _best_parked(
        self, prompt: PreparedPrompt, wanted: array[int], more_than: int
    ) -> int | None:
        best, shared = None, more_than
        for number, parked in self._parked.items():
            length = self._usable(parked, prompt, wanted, more_than=shared)
            if length > shared:
                best, shared = number, length
        return best

    def _usable(
        self,
        known: Sequence | ParkedSequence,
        prompt: PreparedPrompt,
        wanted: array[int],
        more_than: int,
    ) -> int:
        """Length of the prefix that can be had from ``known``; 0 unless ``more_than`` that."""
        tokens, last = known.tokens, max(0, more_than)
        # One token tells most of the thousands of parked sequences apart.
        if known.owner != prompt.owner or min(len(tokens), len(wanted)) <= last:
            return 0
        if tokens[last] != wanted[last]:
            return 0
        length = prompt.cut_before_image(common_prefix(tokens, wanted))
        return 0 if self._whole_only and length < len(tokens) else length

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
            self._park(source)
            return source
        self._idle[source.id] = source
        return None

    def _unpark(self, number: int, wanted: array[int], room: int) -> Sequence | None:
        """Restore a parked sequence; it stays parked if the prompt differs after the prefix."""
        parked = self._parked[number]
        if not self._make_room(max(room, len(parked.tokens)), ids=1, keep=None):
            return None
        beyond = len(parked.tokens) - common_prefix(parked.tokens, wanted)
        if beyond < SHORTEST_PARKED and number in self._parked:  # it may have left for room
            del self._parked[number]
            self._parked_size -= len(parked.state)
        sequence = Sequence(self._free_ids.pop(), parked.owner)
        if self._context.restore(sequence.id, parked.state):
            self.grow(sequence, parked.tokens.tolist())
        return sequence

    def _cut(self, sequence: Sequence, prompt: PreparedPrompt, length: int) -> None:
        """Cut a sequence to the first ``length`` tokens of ``prompt``, and to whole images.

        A sequence that cannot be cut is emptied.
        """
        length = prompt.cut_before_image(length)
        if length == len(sequence.tokens):
            return
        if not self._context.trim(sequence.id, prompt.position(length)):
            self._context.trim(sequence.id, 0)
            length = 0
        sequence.tokens = sequence.tokens[:length]
        sequence.cells = _cut_cells(sequence.cells, length)
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

    def _evict(self, idle: Sequence) -> None:
        del self._idle[idle.id]
        self._park(idle)
        self._context.trim(idle.id, 0)
        self._free_ids.append(idle.id)

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

    def _park(self, sequence: Sequence) -> None:
        """Copy a sequence to RAM; the least recently parked ones are dropped."""
        if len(sequence.tokens) < SHORTEST_PARKED or not self._parked_bytes:
            return
        state = self._context.save(sequence.id)
        self._parked[next(self._numbers)] = ParkedSequence(sequence.owner, sequence.tokens, state)
        self._parked_size += len(state)
        while self._parked_size > self._parked_bytes:
            _, oldest = self._parked.popitem(last=False)
            self._parked_size -= len(oldest.state)


def _cut_cells(cells: list[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Leading segments that hold ``length`` cells together."""
    kept = []
    for segment, size in cells:
        if length <= 0:
            break
        kept.append((segment, min(size, length)))
        length -= size
    return kept
