"""The MLX engine: continuous batching on mlx-lm, with prefix reuse.

It serves MLX folders, and Hugging Face folders of an architecture that mlx-lm knows. On Apple
silicon the GPU computes; elsewhere MLX uses one CPU thread, however many it may use.
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
from app.provider.engines.mlx.image_encoder import MlxImageEncoder
from app.provider.engines.mlx.model import MlxModel
from app.provider.engines.mlx.vision_model import VisionModel, open_model
from app.provider.errors import ProviderError, UnsupportedInput
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.image_encoder import ImageFeatures
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget
from app.provider.generation.prefix_cache import (
    SHORTEST,
    PrefixStore,
    common_prefix,
    shares_running_prefill,
)
from app.provider.generation.prepared_prompt import PreparedPrompt, place_images, prepare_prompt
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.types import End, Progress, Prompt, Started

log = logging.getLogger(__name__)

BLOCK = 256
"""Tokens by which mlx-lm's caches grow."""


@dataclass(slots=True)
class SequenceState:
    """A request in one row of the batch: prefill of its prompt, then its answer."""

    prompt: PreparedPrompt
    output: OutputStream
    cached: int
    read: int = 0

    @property
    def done(self) -> int:
        """Prompt tokens whose keys and values are computed."""
        return self.cached + self.read

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""
        return len(self.prompt.tokens) - self.done

    @property
    def prefill_tokens(self) -> int:
        """Prompt tokens that were not in the cache when it began."""
        return len(self.prompt.tokens) - self.cached


class MlxEngine:
    """Implements ``Engine``; raises ModelNotLoadable when the folder cannot be used."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits, folder = spec.limits, Path(spec.path)
        self._vocabulary = HubTokenizer(folder)
        progress(0)
        self._model = open_model(folder)
        self._image_encoder = _image_encoder(self._model, limits)
        self._chat = ChatTemplate(self._vocabulary, IMAGE_TEXT if self._image_encoder else "")
        mx.set_cache_limit(buffer_bytes(self._model.size))
        mx.clear_cache()
        progress(100)
        plan = _plan(self._model, limits)
        self._cells = plan.cells
        self.info = EngineInfo(limits.slots, plan.length)
        self._default_max_tokens = limits.default_max_tokens
        self._batch = Batch(self._model, limits.slots)
        self._store: PrefixStore[Cache] = PrefixStore(
            limits.prefix_cache_bytes, whole_only=self._model.stateful
        )
        self._prefill_budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}
        self._answers: dict[int, SequenceState] = {}
        self._awaiting_images: set[int] = set()  # admitted, their images are being encoded

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        limit = self.info.context_length
        if self._image_encoder is None:
            return self._chat.prepare(prompt, limit)
        chat_prompt = self._chat.prompt(prompt.messages)
        tokens, images = place_images(chat_prompt.parts, self._image_encoder.measure)
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
        """Compute a token for every running answer, and a chunk of every prompt in prefill."""
        events = self._start_admitted()
        in_prefill = [one for one in self._answers.values() if one.prefill_left]
        running = len(self._answers) - len(in_prefill)
        if self._image_encoder:
            seconds = self._prefill_budget.spare_seconds(running)
            self._image_encoder.work(seconds, alone=not self._answers)
        if not self._answers:
            return events
        begun = time.perf_counter()
        read, drawn = self._batch.step(self._chunk_tokens(in_prefill, running))
        computed = sum(done - self._answers[job].read for job, done in read.items())
        events += self._note_read(read)
        self._prefill_budget.record(time.perf_counter() - begun, running, computed)
        return events + self._emit(drawn)

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        self._awaiting_images.discard(job)
        if self._image_encoder:
            self._image_encoder.forget(job)
        if job in self._answers:
            self._finish([job])

    def set_threads(self, threads: int) -> None:
        """Nothing to do: MLX computes on one thread of the CPU, or on the GPU."""

    def close(self) -> None:
        """Free the batch; the weights go with the process."""
        self._batch.close()
        if self._image_encoder:
            self._image_encoder.close()

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> Events:
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            if self._shares_running_prefill(prompt):
                continue
            if event := self._start(job, prompt):
                del self._admitted[job]
                self._awaiting_images.discard(job)
                events.append((job, event))
            elif job not in self._awaiting_images:
                self._awaiting_images.add(job)
                events.append((job, Progress("prefill", 0, len(prompt.tokens))))
        return events

    def _start(self, job: int, prompt: PreparedPrompt) -> Started | UnsupportedInput | None:
        """Start prefill; None while images are being encoded, an error where one is broken."""
        cached, cache = self._cached_prefix(prompt)
        images: Sequence[ImageFeatures[mx.array]] | None = ()
        if self._image_encoder:
            try:
                images = self._image_encoder.features(job, prompt, cached)
            except UnsupportedInput as error:
                self._image_encoder.forget(job)
                return error
        if images is None:
            return None
        limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
        self._answers[job] = SequenceState(prompt, OutputStream(prompt, limit, cached), cached)
        row = self._model.batch_cache(cache(), prompt, cached, images)
        self._batch.add(job, prompt.tokens[:cached], row, prompt.tokens[cached:], prompt.sampling)
        return prompt.started(cached, self.info.context_length)

    def _cached_prefix(self, prompt: PreparedPrompt) -> tuple[int, Callable[[], Cache]]:
        """Find the longest computed prefix: its length, and a function that copies it.

        It never holds the last token, whose logits are needed, and ends inside no image.
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
        """Find the job in the batch that shares the longest prefix, and the length of that."""
        best, longest = None, SHORTEST - 1
        for job, other in self._answers.items():
            if other.prompt.owner == owner and not self._model.stateful:
                common = min(common_prefix(other.prompt.tokens, wanted), other.done)
                if common > longest:
                    best, longest = job, common
        return best, longest if best is not None else 0

    def _shares_running_prefill(self, prompt: PreparedPrompt) -> bool:
        """Whether a prefill in progress computes a prefix that this prompt can share soon."""
        in_prefill = [one for one in self._answers.values() if one.prefill_left]
        return shares_running_prefill(prompt, ((one.prompt, one.done) for one in in_prefill))

    def _room(self, prompt: PreparedPrompt) -> int:
        """The most tokens that the row of the prompt may hold."""
        limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
        return -(-(len(prompt.tokens) + limit) // BLOCK) * BLOCK

    # ---------------------------------------------------------------- one step

    def _chunk_tokens(self, in_prefill: list[SequenceState], running: int) -> int:
        """Tokens that each prompt in prefill may advance by."""
        if not in_prefill:
            return 1
        longest = max(one.prefill_tokens for one in in_prefill)
        return max(1, self._prefill_budget.prompt_tokens(running, longest) // len(in_prefill))

    def _note_read(self, read: dict[int, int]) -> Events:
        events: Events = []
        for job, done in read.items():
            answer = self._answers[job]
            answer.read = done
            if answer.prefill_left:
                events.append((job, Progress("prefill", answer.done, len(answer.prompt.tokens))))
        return events

    def _emit(self, drawn: dict[int, int]) -> Events:
        events: Events = []
        ended: list[int] = []
        for job, token in drawn.items():
            output = self._answers[job].output.push_token(token, self._vocabulary.piece)
            events += [(job, event) for event in output]
            if output and isinstance(output[-1], End | ProviderError):
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


def _image_encoder(model: MlxModel, limits: EngineLimits) -> MlxImageEncoder | None:
    """The image encoder of a vision model; None for others."""
    if not isinstance(model, VisionModel):
        return None
    scaling = model.scaling.limited(limits.image_tokens)
    return MlxImageEncoder(model.vision_tower, scaling, limits.vision_cache_bytes)


def _plan(model: MlxModel, limits: EngineLimits) -> ContextPlan:
    """The context within the bytes that rows of a fixed size leave."""
    kv_bytes = limits.kv_cache_bytes - limits.slots * model.bytes_per_row
    plan = ContextPlan.of(model.trained_context, model.bytes_per_token, limits, kv_bytes)
    if limits.context_length > plan.trained:
        log.warning("the model was trained for %d tokens of context", plan.trained)
    return plan


build = MlxEngine
