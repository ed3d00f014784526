"""A vector of a text is the number of its words and of its letters: one item at each step."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from app.provider.engine import EngineInfo, EngineSpec
from app.provider.errors import ContextOverflow, UnsupportedInput
from app.provider.types import Encode, Encoded, End, Event, Started, TextPart, Usage

CONTEXT_LENGTH = 64
FOREVER = "forever"
"""A text that keeps its job from ending."""


@dataclass(slots=True)
class EncodingJob:
    texts: list[str]
    prompt_tokens: int
    events: list[Event] = field(default_factory=list)


class EncodingEngine:
    """Implements ``Engine`` without a model."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        self.info = EngineInfo(spec.limits.slots, CONTEXT_LENGTH, generates=False, encodes=True)
        self._jobs: dict[int, EncodingJob] = {}
        progress(100)

    def prepare(self, task: Encode) -> EncodingJob:
        texts = [item.text for item in task.items if isinstance(item, TextPart)]
        if len(texts) < len(task.items):
            raise UnsupportedInput("It encodes texts.")
        tokens = [len(text.split()) for text in texts]
        if max(tokens) > CONTEXT_LENGTH:
            raise ContextOverflow(max(tokens), CONTEXT_LENGTH)
        job = EncodingJob(texts, sum(tokens), [Started(sum(tokens), 0)])
        job.events += [Encoded(index, vector(text)) for index, text in enumerate(texts)]
        if FOREVER not in texts:
            job.events.append(End("stop", Usage(job.prompt_tokens, 0, 0)))
        return job

    def admit(self, job: int, prepared: EncodingJob) -> bool:
        if len(self._jobs) >= self.info.slots:
            return False
        self._jobs[job] = prepared
        return True

    def step(self) -> list[tuple[int, Event]]:
        events = [(job, state.events.pop(0)) for job, state in self._jobs.items() if state.events]
        for job, event in events:
            if isinstance(event, End):
                del self._jobs[job]
        return events

    def drop(self, job: int) -> None:
        self._jobs.pop(job, None)

    def set_threads(self, threads: int) -> None: ...

    def close(self) -> None: ...


def vector(text: str) -> bytes:
    return struct.pack("<2f", len(text.split()), len(text))


build = EncodingEngine
