"""The engine of everything that encodes: a queue of items in front of an ``EncoderRunner``.

A step is one forward pass over items of many jobs. While it runs, the next items arrive; nothing
ever waits for a batch to fill.
"""

from __future__ import annotations

import numpy as np

from app.provider.encoding.batch import CPU_LIMITS, BatchLimits
from app.provider.encoding.job_queue import EncoderJob, JobQueue, QueuedItem, VectorOptions
from app.provider.encoding.lookahead import Lookahead
from app.provider.encoding.outputs.vectors import Vectors, scores_as_bytes, vectors_as_bytes
from app.provider.encoding.runner import EncoderRunner
from app.provider.engine import EngineInfo, Events
from app.provider.errors import ProviderError, UnsupportedInput
from app.provider.types import Encode, Encoded, End, Started, Usage

JOBS = 64
"""Jobs that share the forward passes, at least: they hold little memory, unlike conversations."""

NO_NUMBERS = "The model computed no valid numbers for the input at index {}."


class EncoderEngine:
    """Implements ``Engine`` over a runner. ``layer_norm``: vectors get it before they are cut."""

    def __init__(
        self,
        runner: EncoderRunner,
        slots: int,
        limits: BatchLimits = CPU_LIMITS,
        *,
        layer_norm: bool = False,
    ) -> None:
        self.info = EngineInfo(
            max(slots, JOBS), max(1, runner.max_tokens), generates=False, encodes=True
        )
        self._runner = runner
        self._layer_norm = layer_norm
        self._queue = JobQueue(limits)
        self._lookahead = Lookahead(runner, limits)
        self._admitted: list[int] = []

    def prepare(self, task: Encode) -> EncoderJob:
        """Prepare the first items; raises InputTooLong and UnsupportedInput."""
        if not task.items:
            raise UnsupportedInput("There is nothing to encode.")
        most = self._runner.dimensions
        if task.dimensions is not None and not 1 <= task.dimensions <= most:
            raise UnsupportedInput(
                f"The vectors of this model have {most} dimensions, not {task.dimensions}."
            )
        job = EncoderJob.of(task)
        self._lookahead.begin(job)
        return job

    def admit(self, job: int, prepared: EncoderJob) -> bool:
        """Take the job while a slot is free."""
        if len(self._queue) >= self.info.slots:
            return False
        prepared.number = job
        self._queue.add(prepared)
        self._admitted.append(job)
        return True

    def step(self) -> Events:
        """Compute one batch of items."""
        events: Events = [(job, Started(0, 0)) for job in self._admitted if job in self._queue]
        self._admitted.clear()
        for job, error in self._lookahead.refill(self._queue.in_turn()):
            events += self._fail(job, error)
        batch = self._queue.take_batch()
        return events + self._compute(batch) if batch else events

    def drop(self, job: int) -> None:
        """Forget the job and its items."""
        self._queue.remove(job)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads from the next pass on."""
        self._runner.set_threads(threads)

    def close(self) -> None:
        """Free everything."""
        self._runner.close()

    # ---------------------------------------------------------------- one forward pass

    def _compute(self, batch: list[QueuedItem]) -> Events:
        try:
            rows = self._runner.forward([one.item for one in batch])
        except ProviderError as error:
            return [event for one in batch for event in self._fail(one.job, error)]
        events: Events = []
        for one in (batch[place] for place in np.flatnonzero(~np.isfinite(rows).all(axis=1))):
            events += self._fail(one.job, ProviderError(NO_NUMBERS.format(one.index)))
        for one, vector in zip(batch, self._as_bytes(batch, rows), strict=True):
            if one.job.number in self._queue:
                events += self._answer(one, vector)
        return events

    def _answer(self, one: QueuedItem, vector: bytes) -> Events:
        """The events of an item that has been computed."""
        job, tokens = one.job, len(one.item.tokens)
        events: Events = [
            (job.number, Encoded(one.index, vector, tokens, one.item.truncated)),
        ]
        job.tokens += tokens
        job.left -= 1
        if not job.left:
            self._queue.remove(job.number)
            events.append((job.number, End("stop", Usage(job.tokens, 0, 0))))
        return events

    def _fail(self, job: EncoderJob, error: ProviderError) -> Events:
        """End a job with an error, unless it has ended."""
        if job.number not in self._queue:
            return []
        self._queue.remove(job.number)
        return [(job.number, error)]

    def _as_bytes(self, batch: list[QueuedItem], rows: Vectors) -> list[bytes]:
        """What each item's job asked for of its row."""
        groups: dict[VectorOptions, list[int]] = {}
        for place, one in enumerate(batch):
            groups.setdefault(one.job.options, []).append(place)
        found = [b""] * len(batch)
        for options, places in groups.items():
            for place, row in zip(places, self._converted(rows[places], options), strict=True):
                found[place] = row
        return found

    def _converted(self, rows: Vectors, options: VectorOptions) -> list[bytes]:
        if self._runner.dimensions == 1:
            return scores_as_bytes(rows, options)
        return vectors_as_bytes(rows, options, layer_norm=self._layer_norm)
