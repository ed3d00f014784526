"""The prefix cache where each sequence has a stream of cells of its own.

There are as many streams as answers run at once. A conversation stays in its stream until another
one needs it, then it is parked. Nothing is shared: what two conversations have in common is copied
through RAM, which costs about as much as computing a hundredth of it. llama.cpp's own copy between
streams is not used, because it copies whole streams.

One pass of llama.cpp computes one token of each stream with consecutive numbers. A gap costs a
second pass over all weights in each step, so a sequence is moved into it.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Set as AbstractSet

from app.provider.engines.gguf.cache import PrefixCache, Sequence
from app.provider.engines.gguf.cache_parked import SHORTEST_PARKED, ParkedSequence
from app.provider.generation.prefix_cache import common_prefix
from app.provider.generation.prepared_prompt import PreparedPrompt

MOST_COPIED = 32
"""Tokens copied for each that need not be computed: on any machine copying those is quicker."""


class StreamCache(PrefixCache):
    """Gives each active sequence a stream, side by side with the other active ones."""

    def claim(self, prompt: PreparedPrompt, room: int) -> Sequence | None:
        """Find or make a sequence; None when every stream is taken. A stream always has room."""
        wanted = prompt.tokens[:-1]
        # Of equals ``_best`` takes the last: here that is the one used least recently.
        resident = itertools.chain(self._active.values(), reversed(self._idle.values()))
        source, shared = self._best(prompt, wanted, resident)
        parked = self._best_parked(prompt, wanted, more_than=shared)
        if parked is not None:
            sequence = self._unpark(parked, wanted)
        elif source is not None and source.id in self._idle:
            sequence = self._take_over(source, shared)
        else:
            sequence = self._begin(source, prompt.owner)
        if sequence is not None:
            self._cut(sequence, prompt, common_prefix(sequence.tokens, wanted))
            sequence.room = room
            self._active[sequence.id] = sequence
        return sequence

    def close_gaps(self) -> None:
        """Move one sequence, if the numbers of the active ones have a gap."""
        ids = self._active.keys()
        gaps = [one for one in range(min(ids, default=0), max(ids, default=0)) if one not in ids]
        if not gaps:
            return
        ends = (min(ids), max(ids))
        moving = min(ends, key=lambda one: (_neighbours(one, ids), len(self._active[one].tokens)))
        staying = ids - {moving}
        self._move(
            self._active[moving],
            max(gaps, key=lambda one: (_neighbours(one, staying), one in self._free_ids)),
        )

    def _usable(
        self,
        known: Sequence | ParkedSequence,
        prompt: PreparedPrompt,
        wanted: array[int],
        more_than: int,
    ) -> int:
        """Length of the prefix, or 0 where copying the whole of ``known`` is not worth it."""
        length = super()._usable(known, prompt, wanted, more_than)
        return length if MOST_COPIED * length >= len(known.tokens) else 0

    # ---------------------------------------------------------------- claiming

    def _take_over(self, source: Sequence, shared: int) -> Sequence:
        """Go on in the stream of an idle sequence.

        What the prompt does not continue is parked, unless computing it again on what both share
        costs less than copying the whole.
        """
        rest = len(source.tokens) - shared
        if rest >= SHORTEST_PARKED and MOST_COPIED * rest >= len(source.tokens):
            self._parked.park(source.id, source.owner, source.tokens)
        return self._idle.pop(source.id)

    def _begin(self, source: Sequence | None, owner: str) -> Sequence | None:
        """Begin in another stream, with a copy of an active sequence if there is a ``source``."""
        stream = self._free_stream()
        if stream is None:
            return None
        sequence = Sequence(stream, owner)
        if source is not None and self._context.restore(stream, self._context.save(source.id)):
            sequence.tokens = source.tokens[:]
        return sequence

    def _unpark(self, number: int, wanted: array[int]) -> Sequence | None:
        """Copy a parked sequence back."""
        parked, stream = self._parked[number], self._free_stream()
        return None if stream is None else self._restore(parked, number, stream, wanted)

    # ---------------------------------------------------------------- streams

    def _free_stream(self) -> int | None:
        """Free a stream beside the active ones, an empty or the least recently used one."""
        active = self._active.keys()
        streams = [*self._free_ids, *self._idle]
        best = max(streams, key=lambda stream: _neighbours(stream, active), default=None)
        if best is not None:
            self._empty(best)
        return best

    def _empty(self, stream: int) -> None:
        """Take a stream that is empty or idle."""
        if stream in self._idle:
            self._evict(self._idle[stream])
        self._free_ids.remove(stream)

    def _move(self, sequence: Sequence, stream: int) -> None:
        """Copy an active sequence to another stream, and empty its own."""
        self._empty(stream)
        if not self._context.restore(stream, self._context.save(sequence.id)):
            self._free_ids.append(stream)
            return
        self._context.trim(sequence.id, 0)
        self._free_ids.append(sequence.id)
        self._active[stream] = self._active.pop(sequence.id)
        sequence.id = stream


def _neighbours(stream: int, streams: AbstractSet[int]) -> int:
    """How many of the two streams beside this one are among ``streams``."""
    return (stream - 1 in streams) + (stream + 1 in streams)
