"""The PyTorch engine: one call computes a token for every running answer.

It serves Hugging Face folders of any decoder that transformers knows, and images for Qwen2.5-VL
and HyperCLOVA X. Each prompt is prefilled in chunks, in a row of its own, up to its last token;
that one is computed with the running answers. Images are encoded between steps.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from pathlib import Path

import torch

from app.provider.engine import EngineInfo, EngineSpec, Events
from app.provider.engines.pytorch.cache import BLOCK, KvCache
from app.provider.engines.pytorch.families import load
from app.provider.engines.pytorch.resumable import ResumableTask
from app.provider.engines.pytorch.rows import Rows, SequenceState
from app.provider.engines.pytorch.vision_towers import VisionTower
from app.provider.errors import ProviderError, UnsupportedInput
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.image_encoder import ImageEncoder
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget, split_prefill
from app.provider.generation.prefix_cache import PrefixStore, shares_running_prefill
from app.provider.generation.prepared_prompt import PreparedPrompt, place_images, prepare_prompt
from app.provider.generation.sampler import Sampler, draw_all
from app.provider.types import End, Progress, Prompt, Started


class PytorchEngine:
    """Implements ``Engine``; raises ModelNotLoadable when the folder cannot be used."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        torch.set_num_threads(max(1, limits.threads))
        self._model = model = load(Path(spec.path), limits, progress)
        progress(90)
        cache = KvCache()
        model.decoder.compute(
            torch.zeros(1, 1, dtype=torch.long), model.decoder.counted(0, 1), cache
        )
        plan = ContextPlan.of(model.decoder.trained_context, cache.bytes_per_token, limits)
        self._cells = plan.cells
        self.info = EngineInfo(limits.slots, plan.length)
        self._default_max_tokens = limits.default_max_tokens
        self._image_encoder = _image_encoder(model.vision_tower, limits.vision_cache_bytes)
        store: PrefixStore[KvCache] = PrefixStore(limits.prefix_cache_bytes)
        self._rows = Rows(model, store, cache)
        self._prefill_budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}
        progress(100)

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        limit = self.info.context_length
        if self._model.vision_tower is None:
            return self._model.chat.prepare(prompt, limit)
        chat_prompt = self._model.chat.prompt(prompt.messages)
        tokens, images = place_images(chat_prompt.parts, self._model.vision_tower.measure)
        return prepare_prompt(tokens, prompt, limit, images, chat_prompt.thinking)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free and its longest answer can be promised."""
        answers = (*self._rows.in_prefill, *self._rows.running)
        taken = [*self._admitted.values(), *(answer.prompt for answer in answers)]
        if len(taken) >= self.info.slots:
            return False
        # All rows of a batch are as long as the longest one.
        longest = max(self._room(one) for one in (prepared, *taken))
        if taken and longest * (len(taken) + 1) > self._cells:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> Events:
        """Compute a chunk of the prompts in prefill, a token for every answer, and some images."""
        events = self._start_admitted() + self._collect_images() + self._compute()
        if self._image_encoder is not None and self._image_encoder.busy:
            self._image_encoder.work(self._prefill_budget.spare_seconds(len(self._rows.running)))
        return events

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        if self._image_encoder is not None:
            self._image_encoder.forget(job)
        answers = (*self._rows.in_prefill, *self._rows.running)
        self._rows.remove([answer for answer in answers if answer.number == job])

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        torch.set_num_threads(max(1, threads))

    def close(self) -> None:
        """End the threads that encode images; the weights go with the process."""
        if self._image_encoder is not None:
            self._image_encoder.close()

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> Events:
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            in_prefill = ((one.prompt, len(one.tokens)) for one in self._rows.in_prefill)
            if shares_running_prefill(prompt, in_prefill):
                continue
            del self._admitted[job]
            events.append((job, self._start(job, prompt)))
        return events

    def _start(self, job: int, prompt: PreparedPrompt) -> Started:
        cached, cache = self._rows.cached_prefix(prompt)
        limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
        answer = SequenceState(
            number=job,
            prompt=prompt,
            positions=self._positions(prompt),
            sampler=Sampler(prompt.sampling),
            output=OutputStream(prompt, limit, cached),
            tokens=array("i", prompt.tokens[:cached]),
            cache=cache,
            image_features=None if prompt.images else [],
            prefill_tokens=len(prompt.tokens) - cached,
        )
        self._rows.in_prefill.append(answer)
        return prompt.started(cached, self.info.context_length)

    def _collect_images(self) -> Events:
        """Give prompts the features of their images, and start the answers that need no prefill."""
        events: Events = []
        for answer in list(self._rows.in_prefill):
            if answer.image_features is None and self._image_encoder is not None:
                try:
                    answer.image_features = self._image_encoder.features(
                        answer.number, answer.prompt, len(answer.tokens)
                    )
                except UnsupportedInput as error:
                    events.append((answer.number, error))
                    self.drop(answer.number)
                    continue
            if answer.image_features is not None and not answer.prefill_left:
                self._rows.start(answer)
        return events

    def _room(self, prompt: PreparedPrompt) -> int:
        """The most tokens that the row of the prompt may hold."""
        limit = prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)
        return -(-(len(prompt.tokens) + limit) // BLOCK) * BLOCK

    def _positions(self, prompt: PreparedPrompt) -> torch.Tensor:
        if self._model.vision_tower is None:
            return torch.arange(len(prompt.tokens))[None]
        return self._model.vision_tower.positions(len(prompt.tokens), prompt.images)

    # ---------------------------------------------------------------- one step

    def _compute(self) -> Events:
        """Prefill and decode."""
        events: Events = []
        begun = time.perf_counter()
        running, read = len(self._rows.running), 0
        ready = [answer for answer in self._rows.in_prefill if answer.image_features is not None]
        for answer, size in split_prefill(ready, self._prefill_budget, running):
            self._rows.prefill(answer, size)
            read += size
            events += self._after_prefill(answer)
        between = time.perf_counter()
        if self._rows.running:
            events += self._decode()
        self._record_step(between - begun, time.perf_counter() - between, running, read)
        return events

    def _after_prefill(self, answer: SequenceState) -> Events:
        """Start the answer, or report the progress of its prompt."""
        if not answer.prefill_left:
            self._rows.start(answer)
            return []
        read = Progress("prefill", len(answer.tokens), len(answer.prompt.tokens))
        return [(answer.number, read)]

    def _decode(self) -> Events:
        running = list(self._rows.running)
        logits = self._rows.decode().numpy()
        drawn = draw_all(logits, [answer.sampler for answer in running])
        events: Events = []
        ended: list[SequenceState] = []
        for answer, token in zip(running, drawn, strict=True):
            answer.pending = token
            for event in answer.output.push_token(token, self._model.vocabulary.piece):
                events.append((answer.number, event))
                if isinstance(event, End | ProviderError):
                    ended.append(answer)
        if ended:
            self._rows.remove(ended)
        return events

    def _record_step(
        self, prefill_seconds: float, decode_seconds: float, running: int, read: int
    ) -> None:
        if read:
            seconds = prefill_seconds + (decode_seconds if running else 0.0)
            self._prefill_budget.record(seconds, running, read)
        if self._rows.running and not read:
            self._prefill_budget.record(decode_seconds, running, 0)


def _image_encoder(
    tower: VisionTower | None, cache_bytes: int
) -> ImageEncoder[torch.Tensor] | None:
    """Encodes images with a vision tower and keeps the features in RAM; None without a tower."""
    if tower is None:
        return None
    return ImageEncoder(
        lambda image: ResumableTask(lambda: tower.encode(image.part, image.size).cpu()), cache_bytes
    )


def build(spec: EngineSpec, progress: Callable[[int], None]) -> PytorchEngine:
    """Build the engine of a folder."""
    return PytorchEngine(spec, progress)
