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
from app.provider.engines.gguf.context import LlamaContext
from app.provider.engines.gguf.context_plan import IDLE_SEQUENCES, plan
from app.provider.engines.gguf.llama_batch import Vectors
from app.provider.engines.gguf.mmproj import find_of
from app.provider.engines.gguf.model import LlamaModel
from app.provider.engines.gguf.prefill import (
    ImageStretch,
    SequenceState,
    Stretch,
    TextStretch,
    next_stretch,
)
from app.provider.engines.gguf.sampler import Sampler
from app.provider.errors import ProviderError
from app.provider.generation.chat_template import Chat
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prefill_budget import PrefillBudget, split_prefill
from app.provider.generation.prefix_cache import shares_running_prefill
from app.provider.generation.prepared_prompt import PreparedPrompt, place_images, prepare_prompt
from app.provider.types import End, Event, Progress, Prompt

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from app.provider.engines.gguf.image_encoder import Sight

_LOOK_SECONDS = 0.05
"""A step with nothing to compute waits that long for a picture; bounds cancel and admission."""


class GgufEngine:
    """See the module. Raises ModelNotLoadable when the file or its template is unusable."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        self._model = LlamaModel(spec.path, limits.gpu_layers, progress)
        self._chat = Chat(self._model.vocabulary)
        if limits.context_length > self._model.trained_context:
            log.warning("the model was trained for %d tokens", self._model.trained_context)
        length, cells = plan(self._model.trained_context, self._model.bytes_per_cell(), limits)
        self.info = EngineInfo(limits.slots, length)
        self._default_max_tokens = limits.default_max_tokens
        sequences = limits.slots + IDLE_SEQUENCES
        self._context = LlamaContext(
            self._model, cells=cells, sequences=sequences, threads=limits.threads
        )
        self._cache = PrefixCache(
            self._context,
            cells=cells,
            sequences=sequences,
            parked_bytes=limits.prefix_cache_bytes,
            whole_only=self._model.stateful,
        )
        self._batch = Batch(self._context, self._cache)
        self._sight = _sight(self._model, spec, length)
        self._causal = self._sight is None or self._sight.causal
        self._prefill_budget = PrefillBudget()
        self._admitted: dict[int, PreparedPrompt] = {}
        self._answers: dict[int, SequenceState] = {}
        self._warm_up()

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        limit = self.info.context_length
        if self._sight is None:
            return self._chat.prepare(prompt, limit)
        chat_prompt = self._chat.prompt(prompt.messages)
        tokens, images = place_images(self._sight.framed(chat_prompt.parts), self._sight.measure)
        return prepare_prompt(tokens, prompt, limit, images, chat_prompt.thinking)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        if len(self._admitted) + len(self._answers) >= self.info.slots:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> Events:
        """One batch: a token for every running answer, a piece of the unread prompts."""
        events = self._start_admitted() + self._settle()
        running = [answer for answer in self._answers.values() if not answer.prefill_left]
        stretches = self._stretches()
        if not running and not stretches:
            if not events:
                wait(self._looking(), _LOOK_SECONDS, FIRST_COMPLETED)
            return events
        pieces = split_prefill(stretches, self._prefill_budget, len(running))
        text = [(stretch, size) for stretch, size in pieces if isinstance(stretch, TextStretch)]
        shown = [(stretch, size) for stretch, size in pieces if isinstance(stretch, ImageStretch)]
        shown = shown if self._causal else [(piece, piece.prefill_left) for piece, _ in shown[:1]]
        begun, looking = time.perf_counter(), self._looking()
        events += self._after(self._batch.tokens(running, text))
        events += self._after(self._batch.vectors(shown, causal=self._causal))
        if not looking:  # beside that a step takes several times as long
            read = sum(size for _, size in (*text, *shown))
            self._prefill_budget.record(time.perf_counter() - begun, len(running), read)
        return events

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        if answer := self._answers.pop(job, None):
            self._finish(answer)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        self._context.set_threads(threads)
        if self._sight:
            self._sight.set_threads(threads)

    def close(self) -> None:
        """Free the context and the weights."""
        if self._sight:
            self._sight.close()
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
        """Whether an answer is just computing a prefix that this prompt could share soon."""
        reading = [one for one in self._answers.values() if one.prefill_left]
        return shares_running_prefill(prompt, ((one.prompt, one.computed) for one in reading))

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
            unseen=tuple(image for image in prompt.images if image.start >= cached),
        )

    # ---------------------------------------------------------------- pictures

    def _settle(self) -> Events:
        """Have pictures looked at; tell of prompts whose pictures are seen or cannot be."""
        events: Events = []
        for answer in [one for one in self._answers.values() if not one.started]:
            self._look(answer)
            done = [look.vectors for look in answer.looks.values() if look.vectors.done()]
            error = next(filter(None, (vectors.exception() for vectors in done)), None)
            if error is not None:
                self.drop(answer.number)
                events.append((answer.number, _told(error)))
            elif len(done) == len(answer.unseen):
                answer.started = True
                events.append((answer.number, answer.beginning))
        return events

    def _look(self, answer: SequenceState) -> None:
        """Have the pictures looked at once the text before them is read."""
        if self._sight and answer.at_picture and not answer.looks:
            owner = answer.prompt.owner
            answer.looks = {one.start: self._sight.look(owner, one) for one in answer.unseen}

    def _looking(self) -> list[Future[Vectors]]:
        looks = (look.vectors for one in self._answers.values() for look in one.looks.values())
        return [vectors for vectors in looks if not vectors.done()]

    # ---------------------------------------------------------------- one step

    def _stretches(self) -> list[Stretch]:
        """What can be read of the prompts that are not read yet."""
        reading = [answer for answer in self._answers.values() if answer.prefill_left]
        return [stretch for one in reading if (stretch := next_stretch(one))]

    def _after(self, rows: list[tuple[SequenceState, int]]) -> Events:
        """Draw the next token of each answer, or report how far its prompt has been read."""
        return [(answer.number, event) for answer, row in rows for event in self._next(answer, row)]

    def _next(self, answer: SequenceState, row: int) -> list[Event | ProviderError]:
        if answer.prefill_left:
            return [Progress("prefill", len(answer.sequence.tokens), len(answer.prompt.tokens))]
        answer.pending = answer.sampler.draw(self._context, row)
        events = answer.output.push_token(answer.pending, self._model.vocabulary.piece)
        if events and isinstance(events[-1], End | ProviderError):
            del self._answers[answer.number]
            self._finish(answer)
        return events

    def _finish(self, answer: SequenceState) -> None:
        for look in answer.looks.values():
            look.vectors.cancel()
        answer.sampler.close()
        self._cache.release(answer.sequence)

    def _warm_up(self) -> None:
        """Compute one token, so that the first request does not wait for the disk."""
        self._context.add(0, 0, [0], output=True)
        self._context.decode()
        self._context.clear()


def _sight(model: LlamaModel, spec: EngineSpec, context_length: int) -> Sight | None:
    """The eyes of the model, where a file for that lies beside it."""
    eye = find_of(Path(spec.path))
    if eye is None:
        return None
    from app.provider.engines.gguf.image_encoder import Sight  # noqa: PLC0415 libmtmd, which few models need
    from app.provider.engines.gguf.mtmd import Projector  # noqa: PLC0415

    projector = Projector(model, eye, spec.limits, context_length)
    return Sight(projector, spec.limits.vision_cache_bytes)


def _told(error: BaseException) -> ProviderError:
    """The error as the client is told; what is none of ours ends the process."""
    if isinstance(error, ProviderError):
        return error
    raise error


build = GgufEngine
