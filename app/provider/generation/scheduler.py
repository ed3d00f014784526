"""Continuous batching: which requests are computed in a step, and what their clients get to see.

Requests are admitted in order of arrival. One that begins like a prompt in prefill waits for it, to
share the prefix. Images are encoded first; then the request has started. A step computes pieces of
the prompts in prefill, as far as ``PrefillBudget`` allows, and a token for every running answer.
The ``Runner`` knows how; nothing here knows a library.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Generic

from app.provider.engine import EngineInfo, Events
from app.provider.errors import ProviderError
from app.provider.generation.answer_tokens import Vocabulary
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget, split_prefill
from app.provider.generation.prefix_cache import shares_running_prefill
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.queue_places import QueuePlaces
from app.provider.generation.runner import Drawn, Runner, S
from app.provider.types import End, Event, Progress


class Scheduler(Generic[S]):
    """Schedules the requests of one engine on its runner. Belongs to the decode thread."""

    def __init__(
        self,
        runner: Runner[S],
        info: EngineInfo,
        default_max_tokens: int,
        vocabulary: Vocabulary,
        image_encoder: ImageEncoder[Any] | None = None,
    ) -> None:
        self._runner = runner
        self._info = info
        self._default_max_tokens = default_max_tokens
        self._vocabulary = vocabulary
        self._image_encoder = image_encoder
        self._budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}  # without a sequence, in order
        self._places = QueuePlaces()  # of jobs that wait for room
        self._awaiting_images: dict[int, S] = {}
        self._sequences: dict[int, S] = {}  # started, oldest first

    # ---------------------------------------------------------------- requests

    def admit(self, job: int, prompt: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        taken = len(self._admitted) + len(self._awaiting_images) + len(self._sequences)
        if taken >= self._info.slots:
            return False
        self._admitted[job] = prompt
        return True

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        sequence = self._sequences.pop(job, None) or self._awaiting_images.pop(job, None)
        if self._image_encoder:
            self._image_encoder.forget(job)
        if sequence:
            self._runner.release([sequence])

    def step(self) -> Events:
        """Advance every job once."""
        events = self._reserve_admitted() if self._admitted else []
        if self._awaiting_images:
            events += self._start_encoded()
        if self._sequences:
            events += self._compute()
        self._encode_images()
        return events

    # ---------------------------------------------------------------- admission

    def _reserve_admitted(self) -> Events:
        """Give sequences to admitted jobs, in order, as far as there is room."""
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            if self._shares_running_prefill(prompt):
                continue
            answer_tokens = prompt.max_answer_tokens(self._default_max_tokens)
            sequence = self._runner.reserve(prompt, len(prompt.tokens) + answer_tokens)
            if sequence is None:
                return [*events, *self._places.changed(self._admitted_from(job))]
            del self._admitted[job]
            sequence.job = job
            sequence.output = OutputStream(prompt, answer_tokens, sequence.cached)
            sequence.guide = prompt.guide(answer_tokens) if prompt.guide else None
            events += self._start_or_wait(sequence)
        return events

    def _admitted_from(self, first: int) -> list[int]:
        jobs = list(self._admitted)
        return jobs[jobs.index(first) :]

    def _shares_running_prefill(self, prompt: PreparedPrompt) -> bool:
        """Whether a prefill in progress computes a prefix that this prompt can share soon."""
        sequences = (*self._awaiting_images.values(), *self._sequences.values())
        computed = (
            (one.prompt, one.prompt.cut_before_image(len(one.tokens)))
            for one in sequences
            if one.prefill_left
        )
        return shares_running_prefill(prompt, computed)

    def _start_or_wait(self, sequence: S) -> Events:
        """Start a sequence, or begin to encode its images and report that it is being worked on."""
        if sequence.prompt.images:
            self._awaiting_images[sequence.job] = sequence
            if events := self._start_if_encoded(sequence):
                return events
            read = Progress("prefill", sequence.cached, len(sequence.prompt.tokens))
            return [(sequence.job, read)]
        sequence.images = ()
        return self._start(sequence)

    def _start(self, sequence: S) -> Events:
        self._sequences[sequence.job] = sequence
        started = sequence.prompt.started(sequence.cached)
        forced = sequence.guide.start() if sequence.guide else []
        sequence.pending += forced
        return [(sequence.job, started), *self._emit([(sequence, forced)])]

    # ---------------------------------------------------------------- images

    def _start_encoded(self) -> Events:
        """Start the requests whose images are encoded, and refuse those with a broken image."""
        waiting = list(self._awaiting_images.values())
        return [event for sequence in waiting for event in self._start_if_encoded(sequence)]

    def _start_if_encoded(self, sequence: S) -> Events:
        assert self._image_encoder is not None  # noqa: S101 - prompts with images need one
        try:
            sequence.images = self._image_encoder.features(
                sequence.job, sequence.prompt, sequence.cached
            )
        except ProviderError as error:
            self.drop(sequence.job)
            return [(sequence.job, error)]
        if sequence.images is None:
            return []
        del self._awaiting_images[sequence.job]
        return self._start(sequence)

    def _encode_images(self) -> None:
        """Encode images for as long as the running answers can wait."""
        if self._image_encoder and self._image_encoder.busy:
            running = sum(not one.prefill_left for one in self._sequences.values())
            seconds = self._budget.spare_seconds(running)
            self._image_encoder.work(seconds, alone=not self._sequences)

    # ---------------------------------------------------------------- one step

    def _compute(self) -> Events:
        """Prefill pieces of prompts, and compute a token for every answer."""
        begun, concurrent = time.perf_counter(), self._encodes_concurrently()
        prompts = [one for one in self._sequences.values() if one.prefill_left]
        answers = len(self._sequences) - len(prompts)
        before = [len(one.tokens) for one in prompts]
        if prompts:
            pending = sum(len(one.pending) for one in self._sequences.values())
            self._runner.prefill(split_prefill(prompts, self._budget, answers, pending))
        running = [one for one in self._sequences.values() if not one.prefill_left]
        forced = sum(len(one.pending) - 1 for one in running)
        drawn = self._runner.decode(running)
        for sequence, tokens in drawn:
            sequence.pending = list(tokens)
        events, computed = self._progress(prompts, before)
        if not concurrent:  # while an image is encoded a step takes several times as long
            self._budget.record(time.perf_counter() - begun, answers, computed + forced)
        return events + self._emit(drawn)

    def _encodes_concurrently(self) -> bool:
        encoder = self._image_encoder
        return encoder is not None and encoder.concurrent and encoder.busy

    def _progress(self, prompts: list[S], before: list[int]) -> tuple[Events, int]:
        """What is read of the prompts, for their clients; and how many tokens that was."""
        events: Events = []
        computed = 0
        for sequence, done in zip(prompts, before, strict=True):
            read = len(sequence.tokens) - done
            computed += read
            if read and sequence.prefill_left:
                total = len(sequence.prompt.tokens)
                events.append((sequence.job, Progress("prefill", len(sequence.tokens), total)))
        return events, computed

    def _emit(self, drawn: Sequence[Drawn[S]]) -> Events:
        """Turn tokens into events, and end the answers that are done."""
        events: Events = []
        ended: list[S] = []
        for sequence, tokens in drawn:
            output = self._output(sequence, tokens)
            events += [(sequence.job, event) for event in output]
            if output and isinstance(output[-1], End | ProviderError):
                del self._sequences[sequence.job]
                ended.append(sequence)
        if ended:
            self._runner.release(ended)
        return events

    def _output(self, sequence: S, tokens: Sequence[int]) -> list[Event | ProviderError]:
        """What a client gets to see of tokens, up to the end of the answer."""
        if sequence.guide and sequence.guide.error:
            return [ProviderError(sequence.guide.error)]
        output: list[Event | ProviderError] = []
        for token in tokens:
            output += sequence.output.push_token(token, self._vocabulary, sequence.logprobs)
            if output and isinstance(output[-1], End | ProviderError):
                break
        return output
