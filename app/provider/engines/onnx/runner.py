"""Computes sequences with onnxruntime: prompts in chunks of one row each, answers in one call."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.provider.engine import EngineLimits
from app.provider.engines.onnx.cpu_affinity import CpuAffinity
from app.provider.engines.onnx.graph import DecodeRunner, Graph, PrefillRunner
from app.provider.engines.onnx.kv_arena import KvArena, State
from app.provider.engines.onnx.rows import Row, Rows
from app.provider.engines.onnx.settings import Settings
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.prefix_cache import PrefixStore
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.runner import Drawn, SequenceState, draw_guided
from app.provider.generation.sampler import Sampler, draw_all

SCORE_BYTES = 64 * 2**20
"""The scores of a chunk take heads x tokens of the chunk x longest context float32 numbers."""


@dataclass(slots=True, eq=False, kw_only=True)
class OnnxSequence(SequenceState):
    """A request in one row of the arena."""

    row: Row
    sampler: Sampler


class OnnxRunner:
    """Implements ``Runner`` on a graph and an arena of keys and values."""

    def __init__(
        self, graph: Graph, settings: Settings, plan: ContextPlan, limits: EngineLimits
    ) -> None:
        self._cpu_affinity = CpuAffinity()
        self._arena = KvArena(graph.shapes, limits.slots, plan.length, graph.kv_type)
        store: PrefixStore[State] = PrefixStore(limits.prefix_cache_bytes)
        self._rows = Rows(self._arena, plan.cells_of_slots(limits.slots), store)
        self._decode_runner = DecodeRunner(graph, settings, self._arena)
        self._prefill_runner = PrefillRunner(graph, settings, self._arena)
        scores = 4 * settings.heads * self._arena.length
        self._largest_chunk = max(1, SCORE_BYTES // scores)
        self._running: list[OnnxSequence] = []  # in the order of their rows
        self._arranged = False
        self._warm_up()

    def reserve(self, prompt: PreparedPrompt, room: int) -> OnnxSequence | None:
        """Claim a row."""
        row = self._rows.claim(prompt.owner, prompt.tokens, room)
        if row is None:
            return None
        return OnnxSequence(
            prompt=prompt, room=room, tokens=row.tokens, row=row, sampler=Sampler(prompt.sampling)
        )

    def prefill(self, pieces: Sequence[tuple[OnnxSequence, int]]) -> None:
        """Compute a chunk of each prompt."""
        for sequence, size in pieces:
            done = len(sequence.tokens)
            self._compute(sequence, sequence.prompt.tokens[done : done + size], chunks=1)

    def decode(self, running: Sequence[OnnxSequence]) -> list[Drawn[OnnxSequence]]:
        """Compute a token for every running answer."""
        for sequence in running:
            if sequence.row.index >= self._rows.running:
                self._start(sequence)
        if not self._running:
            return []
        for sequence in self._running:
            if len(sequence.pending) > 1:
                self._compute(sequence, array("i", sequence.pending[:-1]))
                self._arranged = False
        if not self._arranged:
            self._decode_runner.arrange([len(one.tokens) for one in self._running])
            self._arranged = True
        logits = self._decode_runner.step([one.pending[-1] for one in self._running])
        for sequence in self._running:
            sequence.tokens.append(sequence.pending[-1])
        samplers = [one.sampler for one in self._running]
        return draw_guided(self._running, logits.__getitem__, lambda: draw_all(logits, samplers))

    def release(self, sequences: Sequence[OnnxSequence]) -> None:
        """Release the rows; the last running answers may move into them."""
        for sequence in sequences:
            at = sequence.row.index
            was_running = at < self._rows.running
            self._rows.release(sequence.row)
            if was_running:
                last = self._running.pop()
                if last is not sequence:
                    self._running[at] = last
                self._arranged = False

    def set_threads(self, threads: int) -> None:
        """Use that many CPU cores."""
        self._cpu_affinity.use(threads)

    def close(self) -> None:
        """Free keys and values; the graph is freed with its last reference."""
        self._arena.close()

    def _compute(
        self, sequence: OnnxSequence, tokens: array[int], chunks: int | None = None
    ) -> None:
        """Append tokens to a row, in so many chunks at most."""
        for start in range(0, len(tokens), self._largest_chunk)[:chunks]:
            piece = tokens[start : start + self._largest_chunk]
            done = len(sequence.tokens)
            self._prefill_runner.run(sequence.row.index, done, np.array(piece, np.int64))
            sequence.tokens.extend(piece)

    def _start(self, sequence: OnnxSequence) -> None:
        """Move a row whose prefill is done behind the running rows."""
        self._rows.start(sequence.row)
        self._running.append(sequence)
        self._arranged = False

    def _warm_up(self) -> None:
        """Run both runners once, so that the first request does not wait."""
        self._prefill_runner.run(0, 0, np.zeros(2, np.int64))
        self._decode_runner.arrange([2])
        self._decode_runner.step([0])
