"""The ONNX engine: one call computes a token for every running answer.

Prompts are prefilled in chunks, each of one prompt, up to their last token; that one is computed
with the running answers. ``PrefillBudget`` bounds the chunks of a step.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from app.provider.engine import Engine, EngineInfo, EngineSpec, Events
from app.provider.engines.onnx import providers
from app.provider.engines.onnx.cpu_affinity import CpuAffinity
from app.provider.engines.onnx.graph import DecodeRunner, Graph, PrefillRunner
from app.provider.engines.onnx.kv_arena import KvArena
from app.provider.engines.onnx.rows import Row, Rows
from app.provider.engines.onnx.settings import Settings, read_settings
from app.provider.errors import ModelNotLoadable, ProviderError
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget, split_prefill
from app.provider.generation.prefix_cache import PrefixStore, shares_running_prefill
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.sampler import Sampler, draw_all
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.types import End, Progress, Prompt

log = logging.getLogger(__name__)

SCORE_BYTES = 64 * 2**20
"""The scores of a chunk take heads x tokens of the chunk x longest context float32 numbers."""


@dataclass(slots=True, eq=False)
class SequenceState:
    """A request in one row: prefill of its prompt, then its answer."""

    number: int
    prompt: PreparedPrompt
    row: Row
    sampler: Sampler
    output: OutputStream
    prefill_tokens: int
    pending: int = -1  # known, not yet computed

    @property
    def prefill_left(self) -> int:
        """Prompt tokens before the last one that are not computed yet."""
        return max(0, len(self.prompt.tokens) - 1 - len(self.row.tokens))


class OnnxEngine:
    """Implements ``Engine``; raises ModelNotLoadable when the folder is unusable."""

    def __init__(
        self,
        spec: EngineSpec,
        settings: Settings,
        provider: str,
        progress: Callable[[int], None],
    ) -> None:
        limits, folder = spec.limits, Path(spec.path)
        self._vocabulary = HubTokenizer(folder, settings.ends)
        self._chat = ChatTemplate(self._vocabulary)
        progress(10)
        graph = Graph(settings, provider, limits.threads)
        progress(90)
        self._cpu_affinity = CpuAffinity()
        plan = ContextPlan.of(settings.context_length, graph.cell_bytes, limits)
        self.info = EngineInfo(limits.slots, plan.length)
        self._default_max_tokens = limits.default_max_tokens
        self._arena = KvArena(graph.shapes, limits.slots, plan.length, graph.kv_type)
        cells = plan.cells_of_slots(limits.slots)
        self._rows = Rows(self._arena, cells, PrefixStore(limits.prefix_cache_bytes))
        self._decode_runner = DecodeRunner(graph, settings, self._arena)
        self._prefill_runner = PrefillRunner(graph, settings, self._arena)
        scores = 4 * settings.heads * self._arena.length
        self._largest_chunk = max(1, SCORE_BYTES // scores)
        self._prefill_budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}
        self._in_prefill: list[SequenceState] = []
        self._running: list[SequenceState] = []  # in the order of their rows
        self._arranged = False
        self._warm_up()

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        return self._chat.prepare(prompt, self.info.context_length)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        if len(self._admitted) + len(self._in_prefill) + len(self._running) >= self.info.slots:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> Events:
        """Compute chunks of the prompts in prefill, then a token for every running answer."""
        events = self._start_admitted() if self._admitted else []
        begun = time.perf_counter()
        running, read = len(self._running), 0
        for answer, size in split_prefill(self._in_prefill, self._prefill_budget, running):
            read += self._prefill(answer, min(size, self._largest_chunk))
            events += self._after_prefill(answer)
        between = time.perf_counter()
        if self._running:
            events += self._decode()
        self._record_step(between - begun, time.perf_counter() - between, running, read)
        return events

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        for answer in (*self._in_prefill, *self._running):
            if answer.number == job:
                self._finish(answer)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU cores."""
        self._cpu_affinity.use(threads)

    def close(self) -> None:
        """Free keys and values; the graph is freed with its last reference."""
        self._arena.close()

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> Events:
        """Give rows to admitted jobs, in order, as far as there is room."""
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            if self._shares_running_prefill(prompt):
                continue
            limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
            row = self._rows.claim(prompt.owner, prompt.tokens, len(prompt.tokens) + limit)
            if row is None:
                break
            del self._admitted[job]
            self._begin(job, prompt, row, limit)
            events.append((job, prompt.started(len(row.tokens), self.info.context_length)))
        return events

    def _shares_running_prefill(self, prompt: PreparedPrompt) -> bool:
        """Whether a prefill in progress computes a prefix that this prompt can share soon."""
        return shares_running_prefill(
            prompt, ((one.prompt, len(one.row.tokens)) for one in self._in_prefill)
        )

    def _begin(self, job: int, prompt: PreparedPrompt, row: Row, limit: int) -> None:
        cached = len(row.tokens)
        answer = SequenceState(
            number=job,
            prompt=prompt,
            row=row,
            sampler=Sampler(prompt.sampling),
            output=OutputStream(prompt, limit, cached),
            prefill_tokens=len(prompt.tokens) - cached,
            pending=prompt.tokens[-1],
        )
        self._in_prefill.append(answer)
        if not answer.prefill_left:
            self._start(answer)

    # ---------------------------------------------------------------- one step

    def _prefill(self, answer: SequenceState, size: int) -> int:
        row, done = answer.row, len(answer.row.tokens)
        piece = answer.prompt.tokens[done : done + size]
        self._prefill_runner.run(row.index, done, np.array(piece, np.int64))
        row.tokens.extend(piece)
        return size

    def _after_prefill(self, answer: SequenceState) -> Events:
        """Start the answer, or report the progress of its prompt."""
        if not answer.prefill_left:
            self._start(answer)
            return []
        read = Progress("prefill", len(answer.row.tokens), len(answer.prompt.tokens))
        return [(answer.number, read)]

    def _start(self, answer: SequenceState) -> None:
        self._in_prefill.remove(answer)
        self._rows.start(answer.row)
        self._running.append(answer)
        self._arranged = False

    def _decode(self) -> Events:
        """Compute a token for every running answer."""
        running = self._running
        if not self._arranged:
            self._decode_runner.arrange([len(answer.row.tokens) for answer in running])
            self._arranged = True
        logits = self._decode_runner.step([answer.pending for answer in running])
        for answer in running:  # all of them before any row is moved
            answer.row.tokens.append(answer.pending)
        drawn = draw_all(logits, [answer.sampler for answer in running])
        events: Events = []
        for answer, token in zip(tuple(running), drawn, strict=True):
            answer.pending = token
            for event in answer.output.push_token(token, self._vocabulary.piece):
                events.append((answer.number, event))
                if isinstance(event, End | ProviderError):
                    self._finish(answer)
        return events

    def _finish(self, answer: SequenceState) -> None:
        """Release the row; the last running answer may move into it."""
        at = answer.row.index
        self._rows.release(answer.row)
        if answer in self._in_prefill:
            self._in_prefill.remove(answer)
            return
        last = self._running.pop()
        if last is not answer:
            self._running[at] = last
        self._arranged = False

    def _record_step(
        self, prefill_seconds: float, decode_seconds: float, running: int, read: int
    ) -> None:
        if read:
            seconds = prefill_seconds + (decode_seconds if running else 0.0)
            self._prefill_budget.record(seconds, running, read)
        if self._running and not read:
            self._prefill_budget.record(decode_seconds, running, 0)

    def _warm_up(self) -> None:
        """Run both runners once, so that the first request does not wait."""
        self._prefill_runner.run(0, 0, np.zeros(2, np.int64))
        self._decode_runner.arrange([2])
        self._decode_runner.step([0])


def build(spec: EngineSpec, progress: Callable[[int], None]) -> Engine:
    """Build ``OnnxEngine`` where keys and values are in RAM, ``PagedEngine`` where not.

    Vision models have an engine of their own.
    """
    settings = read_settings(Path(spec.path))
    if settings.embedded:
        return _build_vision(spec, settings, progress)
    *others, last = providers.usable(spec.limits.onnx_providers, paged=settings.paged)
    for provider in others:
        try:
            return _build(spec, settings, provider, progress)
        except ModelNotLoadable as error:
            log.warning("%s does not work here, trying the next one: %s", provider, error)
    return _build(spec, settings, last, progress)


def _build_vision(spec: EngineSpec, settings: Settings, progress: Callable[[int], None]) -> Engine:
    if "cpu" not in spec.limits.onnx_providers:
        raise ModelNotLoadable("Pictures are only seen on the CPU: add cpu to ONNX_PROVIDERS.")
    module = importlib.import_module("app.provider.engines.onnx.vision_engine")
    return cast("Engine", module.VisionEngine(spec, settings, progress))


def _build(
    spec: EngineSpec, settings: Settings, provider: str, progress: Callable[[int], None]
) -> Engine:
    if provider in providers.IN_RAM and not settings.paged:
        return OnnxEngine(spec, settings, provider, progress)
    # Imported only here: the library takes memory that OnnxEngine does without.
    module = importlib.import_module("app.provider.engines.onnx.paged")
    return cast("Engine", module.PagedEngine(spec, settings, provider, progress))
