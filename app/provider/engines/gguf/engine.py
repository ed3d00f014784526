"""The GGUF engine: every active sequence in one batch per step.

A step computes one token for each running answer and a chunk of the prompts that are still in
prefill; ``PrefillBudget`` bounds that chunk. Another thread encodes images while their prompt
waits: encoding and decoding both need all cores, and sharing them costs more than it gains. The
image vectors are then prefilled like text, but in a batch of their own, because a llama.cpp batch
holds either tokens or vectors. The engine knows nothing of queues or HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from app.provider.engine import EngineInfo, EngineSpec, Events
from app.provider.engines.gguf.batch import Batch
from app.provider.engines.gguf.cache import PrefixCache, Sequence
from app.provider.engines.gguf.cache_streams import StreamCache
from app.provider.engines.gguf.cache_unified import UnifiedCache
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.context_cells import ContextLayout
from app.provider.engines.gguf.llama_batch import Vectors
from app.provider.engines.gguf.mmproj import find_mmproj_of
from app.provider.engines.gguf.model import LlamaModel
from app.provider.engines.gguf.prefill import (
    ImageChunk,
    PrefillChunk,
    SequenceState,
    TextChunk,
    next_chunk,
)
from app.provider.engines.gguf.sampler import Sampler
from app.provider.errors import ProviderError
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget, split_prefill
from app.provider.generation.prefix_cache import shares_running_prefill
from app.provider.generation.prepared_prompt import PreparedPrompt, place_images, prepare_prompt
from app.provider.types import End, Event, Progress, Prompt

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from app.provider.engines.gguf.image_encoder import ImageEncoder

_ENCODING_WAIT_SECONDS = 0.05
"""A step with nothing to compute waits that long for an image, so that cancelling stays quick."""


class GgufEngine:
    """Implements ``Engine``; raises ModelNotLoadable when the file or its template is unusable."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        self._model = LlamaModel(spec.path, limits.gpu_layers, progress)
        self._chat = ChatTemplate(self._model.vocabulary)
        if limits.context_length > self._model.trained_context:
            log.warning("the model was trained for %d tokens", self._model.trained_context)
        plan = ContextPlan.of(self._model.trained_context, self._model.bytes_per_cell(), limits)
        layout = ContextLayout.of(plan, limits.slots)
        log.info("keys and values: %s", layout)
        self.info = EngineInfo(limits.slots, plan.length)
        self._default_max_tokens = limits.default_max_tokens
        self._context = LlamaContext(self._model, layout, threads=limits.threads)
        cache = StreamCache if layout.streams else UnifiedCache
        self._cache: PrefixCache = cache(
            self._context,
            layout,
            parked_bytes=limits.prefix_cache_bytes,
            whole_only=self._model.stateful,
        )
        self._batch = Batch(self._context, self._cache)
        self._image_encoder = _image_encoder(self._model, spec, plan.length)
        self._causal = self._image_encoder is None or self._image_encoder.causal
        self._prefill_budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}
        self._answers: dict[int, SequenceState] = {}
        self._warm_up()

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        limit = self.info.context_length
        if self._image_encoder is None:
            return self._chat.prepare(prompt, limit)
        chat_prompt = self._chat.prompt(prompt.messages)
        tokens, images = place_images(
            self._image_encoder.framed(chat_prompt.parts), self._image_encoder.measure
        )
        return prepare_prompt(tokens, prompt, limit, images, chat_prompt.thinking)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        if len(self._admitted) + len(self._answers) >= self.info.slots:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> Events:
        """Compute a token for every running answer, and chunks of the prompts in prefill."""
        events = self._start_admitted() + self._advance_images()
        running = [answer for answer in self._answers.values() if not answer.prefill_left]
        chunks = self._next_chunks()
        if not running and not chunks:
            if not events:
                wait(self._encoding_futures(), _ENCODING_WAIT_SECONDS, FIRST_COMPLETED)
            return events
        sizes = split_prefill(chunks, self._prefill_budget, len(running))
        text = [(chunk, size) for chunk, size in sizes if isinstance(chunk, TextChunk)]
        images = [(chunk, size) for chunk, size in sizes if isinstance(chunk, ImageChunk)]
        if not self._causal:
            images = [(chunk, chunk.prefill_left) for chunk, _ in images[:1]]
        begun, encoding = time.perf_counter(), self._encoding_futures()
        events += self._after(self._batch.tokens(running, text))
        events += self._after(self._batch.vectors(images, causal=self._causal))
        if not encoding:  # while an image is encoded a step takes several times as long
            computed = sum(size for _, size in (*text, *images))
            self._prefill_budget.record(time.perf_counter() - begun, len(running), computed)
        return events

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        if answer := self._answers.pop(job, None):
            self._finish(answer)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        self._context.set_threads(threads)
        if self._image_encoder:
            self._image_encoder.set_threads(threads)

    def close(self) -> None:
        """Free the context and the weights."""
        if self._image_encoder:
            self._image_encoder.close()
        self._context.close()
        self._model.close()

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> Events:
        """Give sequences to admitted jobs, in order, as far as there is room."""
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            if self._shares_running_prefill(prompt):
                continue
            sequence = self._cache.claim(prompt, len(prompt.tokens) + self._limit(prompt))
            if sequence is None:
                break
            del self._admitted[job]
            self._answers[job] = self._begin(job, prompt, sequence)
        return events

    def _shares_running_prefill(self, prompt: PreparedPrompt) -> bool:
        """Whether a prefill in progress computes a prefix that this prompt can share soon."""
        in_prefill = [one for one in self._answers.values() if one.prefill_left]
        return shares_running_prefill(prompt, ((one.prompt, one.computed) for one in in_prefill))

    def _limit(self, prompt: PreparedPrompt) -> int:
        return prompt.max_answer_tokens(self._default_max_tokens, self.info.context_length)

    def _begin(self, job: int, prompt: PreparedPrompt, sequence: Sequence) -> SequenceState:
        limit, cached = self._limit(prompt), len(sequence.tokens)
        return SequenceState(
            number=job,
            prompt=prompt,
            sequence=sequence,
            sampler=Sampler(prompt.sampling, self._model.vocabulary.size, limit),
            output=OutputStream(prompt, limit, cached),
            prefill_tokens=len(prompt.tokens) - cached,
            uncached_images=tuple(image for image in prompt.images if image.start >= cached),
        )

    # ---------------------------------------------------------------- images

    def _advance_images(self) -> Events:
        """Begin to encode images; start the requests whose images are encoded, or refuse them."""
        events: Events = []
        for answer in [one for one in self._answers.values() if not one.started]:
            self._encode_images(answer)
            pending = answer.pending_images.values()
            done = [image.vectors for image in pending if image.vectors.done()]
            error = next(filter(None, (vectors.exception() for vectors in done)), None)
            if error is not None:
                self.drop(answer.number)
                events.append((answer.number, _client_error(error)))
            elif len(done) == len(answer.uncached_images):
                answer.started = True
                cached = len(answer.prompt.tokens) - answer.prefill_tokens
                started = answer.prompt.started(cached, self.info.context_length)
                events.append((answer.number, started))
        return events

    def _encode_images(self, answer: SequenceState) -> None:
        """Begin to encode the images once the text before them is computed."""
        if self._image_encoder and answer.at_image and not answer.pending_images:
            owner = answer.prompt.owner
            answer.pending_images = {
                one.start: self._image_encoder.encode(owner, one) for one in answer.uncached_images
            }

    def _encoding_futures(self) -> list[Future[Vectors]]:
        """The images that are still being encoded."""
        answers = self._answers.values()
        futures = (image.vectors for one in answers for image in one.pending_images.values())
        return [vectors for vectors in futures if not vectors.done()]

    # ---------------------------------------------------------------- one step

    def _next_chunks(self) -> list[PrefillChunk]:
        """What can be computed of the prompts in prefill."""
        in_prefill = [answer for answer in self._answers.values() if answer.prefill_left]
        return [chunk for one in in_prefill if (chunk := next_chunk(one))]

    def _after(self, rows: list[tuple[SequenceState, int]]) -> Events:
        """Draw the next token of each answer, or report the progress of its prompt."""
        return [(answer.number, event) for answer, row in rows for event in self._next(answer, row)]

    def _next(self, answer: SequenceState, row: int) -> list[Event | ProviderError]:
        if answer.prefill_left:
            return [Progress("prefill", len(answer.sequence.tokens), len(answer.prompt.tokens))]
        answer.next_token = answer.sampler.draw(self._context, row)
        events = answer.output.push_token(answer.next_token, self._model.vocabulary.piece)
        if events and isinstance(events[-1], End | ProviderError):
            del self._answers[answer.number]
            self._finish(answer)
        return events

    def _finish(self, answer: SequenceState) -> None:
        for image in answer.pending_images.values():
            image.vectors.cancel()
        answer.sampler.close()
        self._cache.release(answer.sequence)

    def _warm_up(self) -> None:
        """Compute one token, so that the first request does not wait for the disk."""
        self._context.add(0, 0, [0], output=True)
        self._context.decode()
        self._context.clear()


def _image_encoder(model: LlamaModel, spec: EngineSpec, context_length: int) -> ImageEncoder | None:
    """The image encoder of a model with an mmproj file beside it; None for others."""
    mmproj = find_mmproj_of(Path(spec.path))
    if mmproj is None:
        return None
    from app.provider.engines.gguf.image_encoder import ImageEncoder  # noqa: PLC0415 libmtmd, which few models need
    from app.provider.engines.gguf.mtmd import Projector  # noqa: PLC0415

    projector = Projector(model, mmproj, spec.limits, context_length)
    return ImageEncoder(projector, spec.limits.vision_cache_bytes)


def _client_error(error: BaseException) -> ProviderError:
    """The error for the client; any other kind of error is raised and ends the process."""
    if isinstance(error, ProviderError):
        return error
    raise error


build = GgufEngine
