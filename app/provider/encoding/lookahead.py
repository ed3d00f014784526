"""Prepares the items of jobs a few forward passes before they are computed.

There must be items to choose neighbours in length from, but a request of thousands of texts is
never tokenised at once: that would take long, while others wait, and much memory.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from app.provider.encoding.batch import BatchLimits
from app.provider.encoding.job_queue import EncoderJob, QueuedItem
from app.provider.encoding.runner import EncoderRunner
from app.provider.errors import ProviderError

log = logging.getLogger(__name__)

_PASSES = 16
"""Forward passes that the ready items of one job are enough for."""

_MOST_READY = 256
"""Ready items of one job."""

_STEP_PASSES = 4
"""Forward passes that the items prepared in one step are enough for."""

_READY_BYTES = 32 * 2**20
"""Memory of the ready items of all jobs; the last one may exceed it."""

Failures = list[tuple[EncoderJob, ProviderError]]


@dataclass(slots=True)
class _Room:
    """Tokens and bytes that may still be prepared in this step."""

    tokens: int
    bytes: int


class Lookahead:
    """Prepares items with ``runner``, some forward passes of ``limits`` ahead."""

    def __init__(self, runner: EncoderRunner, limits: BatchLimits) -> None:
        self._runner = runner
        self._limits = limits

    def begin(self, job: EncoderJob) -> None:
        """Prepare the first items, up to one forward pass or one image; may be in any thread.

        Raises InputTooLong and UnsupportedInput.
        """
        size = 0
        while job.parts and size < self._limits.tokens:
            one = self._prepare_next(job)
            size += one.size if one.item.pixels is None else self._limits.tokens

    def refill(self, jobs: Sequence[EncoderJob]) -> Failures:
        """Prepare more items of ``jobs``, one of each first; returns the jobs that failed."""
        waiting = [job for job in jobs if job.parts]
        if not waiting:
            return []
        held = sum(one.bytes for job in jobs for one in job.ready)
        room = _Room(_STEP_PASSES * self._limits.tokens, _READY_BYTES - held)
        failures: Failures = []
        for most, group in ((1, waiting), (_MOST_READY, waiting)):
            for job in group:
                if error := self._extend(job, most, room):
                    failures.append((job, error))
        return failures

    def _extend(self, job: EncoderJob, most: int, room: _Room) -> ProviderError | None:
        """Prepare items until ``most`` are ready; returns why the job cannot be served."""
        ahead = sum(one.size for one in job.ready)
        try:
            while job.parts and len(job.ready) < most and ahead < _PASSES * self._limits.tokens:
                if room.tokens <= 0 or room.bytes <= 0:
                    break
                one = self._prepare_next(job)
                ahead += one.size
                room.tokens -= one.size
                room.bytes -= one.bytes
        except ProviderError as error:
            job.parts.clear()
            return error
        except BaseException:  # a panic of a library written in Rust is no Exception
            log.exception("preparing an input failed")
            job.parts.clear()
            return ProviderError("The engine could not prepare this input.")
        return None

    def _prepare_next(self, job: EncoderJob) -> QueuedItem:
        index = job.items - len(job.parts)
        item = self._runner.prepare(
            job.parts.popleft(), index=index, prompt=job.prompt, truncate=job.truncate
        )
        one = QueuedItem(job, index, item, max(1, item.cost or len(item.tokens)))
        job.ready.append(one)
        return one
