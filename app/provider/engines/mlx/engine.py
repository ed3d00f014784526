"""The MLX engine: continuous batching on mlx-lm, with prefix reuse.

For MLX folders, and for Hugging Face folders of an architecture that mlx-lm knows. On Apple
silicon the GPU computes; elsewhere MLX uses one CPU thread, whatever it is allowed.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from app.provider.architectures.qwen_vl import IMAGE_TEXT
from app.provider.engine import EngineInfo, EngineLimits, EngineSpec, Events
from app.provider.engines.mlx.batch import Batch, Cache, shortened
from app.provider.engines.mlx.format import buffer_bytes
from app.provider.engines.mlx.image_encoder import Sight
from app.provider.engines.mlx.model import MlxModel
from app.provider.engines.mlx.mrope_positions import Seen
from app.provider.engines.mlx.vision_model import SeeingModel, opened
from app.provider.errors import ProviderError, UnsupportedInput
from app.provider.generation.chat_template import Chat
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget
from app.provider.generation.prefix_cache import (
    SHORTEST,
    PrefixStore,
    common_prefix,
    shares_running_prefill,
)
from app.provider.generation.prepared_prompt import PreparedPrompt, place_images, prepare_prompt
from app.provider.generation.tokenizer import HubVocabulary
from app.provider.types import End, Progress, Prompt, Started

log = logging.getLogger(__name__)

BLOCK = 256
"""Tokens by which mlx-lm's caches grow."""


@dataclass(slots=True)
class SequenceState:
    """A prompt being read, then its answer being written, in one row of the batch."""

    prompt: PreparedPrompt
    output: OutputStream
    cached: int
    read: int = 0

    @property
    def done(self) -> int:
        """Prompt tokens whose keys and values exist."""
        return self.cached + self.read

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""
        return len(self.prompt.tokens) - self.done

    @property
    def prefill_tokens(self) -> int:
        """Prompt tokens that had to be computed when it began."""
        return len(self.prompt.tokens) - self.cached


class MlxEngine:
    """See the module. Raises ModelNotLoadable when the folder cannot be used."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits, folder = spec.limits, Path(spec.path)
        self._vocabulary = HubVocabulary(folder)
        progress(0)
        self._model = opened(folder)
        self._sight = _sight(self._model, limits)
        self._chat = Chat(self._vocabulary, IMAGE_TEXT if self._sight else "")
        mx.set_cache_limit(buffer_bytes(self._model.size))
        mx.clear_cache()
        progress(100)
        length, self._cells = _plan(self._model, limits)
        self.info = EngineInfo(limits.slots, length)
        self._default_max_tokens = limits.default_max_tokens
        self._batch = Batch(self._model, limits.slots)
        self._store: PrefixStore[Cache] = PrefixStore(
            limits.prefix_cache_bytes, whole_only=self._model.stateful
        )
        self._prefill_budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}
        self._answers: dict[int, SequenceState] = {}
        self._looking: set[int] = set()  # admitted, their pictures are being looked at

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        limit = self.info.context_length
        if self._sight is None:
            return self._chat.prepare(prompt, limit)
        chat_prompt = self._chat.prompt(prompt.messages)
        tokens, images = place_images(chat_prompt.parts, self._sight.measure)
        return prepare_prompt(tokens, prompt, limit, images, chat_prompt.thinking)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free and its longest answer can be promised."""
        taken = [*self._admitted.values(), *(one.prompt for one in self._answers.values())]
        if len(taken) >= self.info.slots:
            return False
        # All rows of a batch are as long as the longest one.
        longest = max(self._room(one) for one in (prepared, *taken))
        if taken and longest * (len(taken) + 1) > self._cells:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> Events:
        """A token for every running answer, and a piece of every prompt that is not read."""
        events = self._start_admitted()
        reading = [one for one in self._answers.values() if one.prefill_left]
        running = len(self._answers) - len(reading)
        if self._sight:
            self._sight.work(self._prefill_budget.spare_seconds(running), alone=not self._answers)
        if not self._answers:
            return events
        begun = time.perf_counter()
        read, drawn = self._batch.step(self._piece(reading, running))
        computed = sum(done - self._answers[job].read for job, done in read.items())
        events += self._note_read(read)
        self._prefill_budget.record(time.perf_counter() - begun, running, computed)
        return events + self._write(drawn)

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        self._looking.discard(job)
        if self._sight:
            self._sight.forget(job)
        if job in self._answers:
            self._finish([job])

    def set_threads(self, threads: int) -> None:
        """Nothing to do: MLX computes on one thread of the CPU, or on the GPU."""

    def close(self) -> None:
        """Free the batch; the weights go with the process."""
        self._batch.close()
        if self._sight:
            self._sight.close()

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> Events:
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            if self._shares_running_prefill(prompt):
                continue
            if said := self._started(job, prompt):
                del self._admitted[job]
                self._looking.discard(job)
                events.append((job, said))
            elif job not in self._looking:
                self._looking.add(job)
                events.append((job, Progress("prefill", 0, len(prompt.tokens))))
        return events

    def _started(self, job: int, prompt: PreparedPrompt) -> Started | UnsupportedInput | None:
        """Start to read; None while pictures are being looked at, an error where one is none."""
        cached, cache = self._known(prompt)
        pictures: Sequence[Seen] | None = ()
        if self._sight:
            try:
                pictures = self._sight.seen(job, prompt, cached)
            except UnsupportedInput as error:
                self._sight.forget(job)
                return error
        if pictures is None:
            return None
        limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
        self._answers[job] = SequenceState(prompt, OutputStream(prompt, limit, cached), cached)
        known, prefill_left = prompt.tokens[:cached], prompt.tokens[cached:]
        rows = self._model.placed(cache(), prompt, cached, pictures)
        self._batch.add(job, known, rows, prefill_left, prompt.sampling)
        return Started(len(prompt.tokens), cached, prompt.seen)

    def _known(self, prompt: PreparedPrompt) -> tuple[int, Callable[[], Cache]]:
        """The longest computed prefix; never the whole, as the last token's logits are needed.

        It ends in no picture, and is only copied when it is asked for.
        """
        wanted = prompt.tokens[:-1]
        running, common = self._best_running(prompt.owner, wanted)
        # A few tokens that all prompts begin with must not make an old state look used.
        least = max(common, SHORTEST - 1)
        kept, length = self._store.find(prompt.owner, wanted, more_than=least)
        if kept is not None:
            whole = prompt.cut_before_image(length)
            return whole, lambda: shortened(kept.state, len(kept.tokens) - whole)
        whole = prompt.cut_before_image(common)
        if running is not None and whole:
            tokens, cache = self._batch.cache_of(running)
            return whole, lambda: shortened(cache, len(tokens) - whole)
        return 0, self._model.new_cache

    def _best_running(self, owner: str, wanted: array[int]) -> tuple[int | None, int]:
        """The running job that shares the longest prefix, and how long that is."""
        best, longest = None, SHORTEST - 1
        for job, other in self._answers.items():
            if other.prompt.owner == owner and not self._model.stateful:
                common = min(common_prefix(other.prompt.tokens, wanted), other.done)
                if common > longest:
                    best, longest = job, common
        return best, longest if best is not None else 0

    def _shares_running_prefill(self, prompt: PreparedPrompt) -> bool:
        """Whether an answer is just computing a prefix that this prompt could share soon."""
        reading = [one for one in self._answers.values() if one.prefill_left]
        return shares_running_prefill(prompt, ((one.prompt, one.done) for one in reading))

    def _room(self, prompt: PreparedPrompt) -> int:
        """Tokens that a row of the prompt may come to hold."""
        limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
        return -(-(len(prompt.tokens) + limit) // BLOCK) * BLOCK

    # ---------------------------------------------------------------- one step

    def _piece(self, reading: list[SequenceState], running: int) -> int:
        """Tokens that each unread prompt may advance by."""
        if not reading:
            return 1
        tokens = self._prefill_budget.prompt_tokens(
            running, max(one.prefill_tokens for one in reading)
        )
        return max(1, tokens // len(reading))

    def _note_read(self, read: dict[int, int]) -> Events:
        events: Events = []
        for job, done in read.items():
            answer = self._answers[job]
            answer.read = done
            if answer.prefill_left:
                events.append((job, Progress("prefill", answer.done, len(answer.prompt.tokens))))
        return events

    def _write(self, drawn: dict[int, int]) -> Events:
        events: Events = []
        ended: list[int] = []
        for job, token in drawn.items():
            said = self._answers[job].output.push_token(token, self._vocabulary.piece)
            events += [(job, event) for event in said]
            if said and isinstance(said[-1], End | ProviderError):
                ended.append(job)
        if ended:
            self._finish(ended)
        return events

    def _finish(self, jobs: list[int]) -> None:
        for job in jobs:
            answer = self._answers.pop(job)
            if answer.done >= SHORTEST:
                self._keep(job, answer.prompt.owner)
        self._batch.remove(jobs)

    def _keep(self, job: int, owner: str) -> None:
        tokens, cache = self._batch.cache_of(job)
        size = self._model.bytes_per_row + len(tokens) * self._model.bytes_per_token
        self._store.keep(owner, tokens, size, lambda: self._batch.settle(cache))


def _sight(model: MlxModel, limits: EngineLimits) -> Sight | None:
    """What looks at pictures, for models that are shown some."""
    if not isinstance(model, SeeingModel):
        return None
    scaling = model.scaling.limited(limits.image_tokens)
    return Sight(model.tower, scaling, limits.vision_cache_bytes)


def _plan(model: MlxModel, limits: EngineLimits) -> tuple[int, int]:
    """Context length of one request, and tokens for all, within the bytes allowed."""
    bytes_for_tokens = limits.kv_cache_bytes - limits.slots * model.bytes_per_row
    affordable = max(512, bytes_for_tokens // max(1, model.bytes_per_token))
    trained = model.trained_context or affordable
    if limits.context_length > trained:
        log.warning("the model was trained for %d tokens of context", trained)
    length = min(limits.context_length or affordable, trained)
    return length, max(length, affordable)


build = MlxEngine
