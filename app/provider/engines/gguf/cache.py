"""The prefix cache: computed sequences in the context, and those parked in RAM.

A finished request leaves its sequence behind. The next prompt of the same owner continues it
(an earlier turn) or takes over its beginning (a common system prompt). When room in the context
runs out, the least recently used sequence is parked: copied to RAM, and copied back when its
conversation goes on. Owners never share. How a sequence gets its room depends on the layout of the
context: ``cache_unified`` and ``cache_streams``.

A token takes one cell, but llama.cpp copies and cuts by positions, and images have fewer positions
than tokens. Positions are computed from the new prompt: the prefix that it shares with a sequence
holds the same images, and each of them whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.provider.engines.gguf.cache_parked import (
    SHORTEST_PARKED,
    ParkedSequence,
    ParkedSequences,
)
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.generation.prefix_cache import common_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt


@dataclass(slots=True)
class Sequence:
    """Tokens whose keys and values are in the context.

    ``id`` may change between two batches. The rest is for unified memory: ``room`` is what an
    active sequence may grow to, ``cells`` records which cells it holds, as lengths of segments;
    sequences that share a prefix hold the same leading segments.
    """

    id: int
    owner: str
    tokens: array[int] = field(default_factory=lambda: array("i"))
    room: int = 0
    cells: list[tuple[int, int]] = field(default_factory=list)
    own_segment: int = -1


class PrefixCache(ABC):
    """Hands out sequences that hold the longest computed prefix of a prompt."""

    def __init__(
        self, context: LlamaContext, layout: ContextLayout, *, parked_bytes: int, whole_only: bool
    ) -> None:
        self._context = context
        self._whole_only = whole_only
        self._free_ids = list(range(layout.sequences))
        self._active: dict[int, Sequence] = {}
        self._idle: OrderedDict[int, Sequence] = OrderedDict()  # least recently used first
        self._parked = ParkedSequences(context, parked_bytes)

    @abstractmethod
    def claim(self, prompt: PreparedPrompt, room: int) -> Sequence | None:
        """Find or make a sequence that holds a prefix of ``prompt`` and may grow to ``room``.

        The last token is never taken from the cache: its logits are needed. None when active
        sequences leave no room.
        """

    @abstractmethod
    def close_gaps(self) -> None:
        """Give the active sequences ids that are computed together. Call it before each batch."""

    def grow(self, sequence: Sequence, tokens: list[int]) -> None:
        """Record that ``tokens`` are computed."""
        sequence.tokens.extend(tokens)

    def release(self, sequence: Sequence) -> None:
        """Keep a sequence whose request has ended for the next one."""
        del self._active[sequence.id]
        if sequence.tokens:
            self._idle[sequence.id] = sequence
        else:
            self._free_ids.append(sequence.id)

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

    def _restore(
        self, parked: ParkedSequence, number: int, into: int, wanted: array[int]
    ) -> Sequence:
        """Copy a parked sequence back; it stays parked if the prompt differs after the prefix."""
        beyond = len(parked.tokens) - common_prefix(parked.tokens, wanted)
        if beyond < SHORTEST_PARKED:
            self._parked.forget(number)
        sequence = Sequence(into, parked.owner)
        if self._context.restore(into, parked.state):
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

    def _evict(self, idle: Sequence) -> None:
        """Park an idle sequence, which frees its id."""
        del self._idle[idle.id]
        self._parked.park(idle.id, idle.owner, idle.tokens)
        self._context.trim(idle.id, 0)
        self._free_ids.append(idle.id)
