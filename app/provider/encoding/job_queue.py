"""The jobs of an encoder: their items, and whose turn it is.

Every job gets the same share of the computed tokens, whatever it asked for: a request of thousands
of texts delays a short one by no more than the pass that is running. A job joins with the share
that the others have had by then (``_clock``), so those that wait are not overtaken for ever.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from app.provider.encoding.batch import BatchLimits, fill
from app.provider.encoding.runner import EncodePart, EncoderItem
from app.provider.types import Encode

_TOKEN_BYTES = 40
"""Of a token in a tuple."""


class VectorOptions(NamedTuple):
    """What a job wants done with what the model computed for its items."""

    normalize: bool = True
    dimensions: int | None = None
    raw_scores: bool = False


@dataclass(slots=True, eq=False)
class QueuedItem:
    """An item that is ready for a forward pass; it counts as ``size`` tokens."""

    job: EncoderJob
    index: int
    item: EncoderItem
    size: int

    @property
    def bytes(self) -> int:
        """Memory that it takes, in about."""
        pixels = 0 if self.item.pixels is None else self.item.pixels.nbytes
        return pixels + _TOKEN_BYTES * len(self.item.tokens)

    @property
    def shape(self) -> tuple[int, ...]:
        """Items of one shape are computed together; texts have none."""
        return () if self.item.pixels is None else self.item.pixels.shape


@dataclass(slots=True, eq=False)
class EncoderJob:
    """The items of a job: ``parts`` are not prepared yet, ``ready`` ones are not computed yet.

    ``left`` of all ``items`` have no answer. ``turn`` is the job's share of computed tokens so
    far, and that of the others before it came; ``tokens`` are those that were computed for it.
    """

    parts: deque[EncodePart]
    prompt: str
    truncate: bool
    options: VectorOptions
    items: int
    left: int
    number: int = -1
    ready: list[QueuedItem] = field(default_factory=list)
    turn: float = 0.0
    tokens: int = 0

    @classmethod
    def of(cls, task: Encode) -> EncoderJob:
        """A job of which nothing is prepared."""
        options = VectorOptions(task.normalize, task.dimensions, task.raw_scores)
        count = len(task.items)
        return cls(deque(task.items), task.prompt, task.truncate, options, count, count)


class JobQueue:
    """The admitted jobs. Belongs to one thread."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._jobs: dict[int, EncoderJob] = {}
        self._clock = 0.0

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, number: int) -> bool:
        return number in self._jobs

    def add(self, job: EncoderJob) -> None:
        """Take a job in."""
        job.turn = self._clock
        self._jobs[job.number] = job

    def remove(self, number: int) -> None:
        """Forget a job with all its items."""
        self._jobs.pop(number, None)
        if not self._jobs:
            self._clock = 0.0

    def in_turn(self) -> list[EncoderJob]:
        """The jobs, those that have had the least first."""
        return sorted(self._jobs.values(), key=_turn)

    def take_batch(self) -> list[QueuedItem]:
        """Take out the items of the next forward pass; none where none are ready."""
        jobs = [job for job in self.in_turn() if job.ready]
        if not jobs:
            return []
        first = jobs[0].ready[0]
        batch = fill(first, self._beside(first, jobs), self._limits)
        taken = set(map(id, batch))
        for job in {id(one.job): one.job for one in batch}.values():
            job.ready = [one for one in job.ready if id(one) not in taken]
        self._charge(batch)
        return batch

    def _beside(self, first: QueuedItem, jobs: list[EncoderJob]) -> list[QueuedItem]:
        """What may be computed with ``first``: jobs that have had less than others come first."""
        shape, size = first.shape, first.size
        others = [one for job in jobs for one in job.ready if one is not first]
        alike = [one for one in others if one.shape == shape]
        alike.sort(key=lambda one: (one.job.turn > self._clock, abs(one.size - size)))
        return alike

    def _charge(self, batch: list[QueuedItem]) -> None:
        """Count what each job gets, and what every job would have got in equal shares."""
        for one in batch:
            one.job.turn += one.size
        self._clock += sum(one.size for one in batch) / len(self._jobs)


def _turn(job: EncoderJob) -> tuple[float, int, int]:
    """Among equals the job that has had least, then the one that came first."""
    return job.turn, job.tokens, job.number
