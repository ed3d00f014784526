"""The GGUF engine: every active sequence in one batch per step.

A step computes one token for each running answer and a piece of the prompts that are still
being read; ``Pace`` bounds that piece. It knows nothing of queues, threads or HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.provider.answer import PreparedPrompt, Writing, is_being_read, prepared, share_out
from app.provider.chat import Chat
from app.provider.engine import EngineInfo, EngineSpec
from app.provider.gguf.cache import PrefixCache, Sequence
from app.provider.gguf.context import LlamaContext
from app.provider.gguf.model import LlamaModel
from app.provider.gguf.plan import IDLE_SEQUENCES, plan
from app.provider.gguf.sampler import Sampler
from app.provider.pace import Pace
from app.provider.types import End, Event, Progress, Prompt, Started

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Answer:
    """A prompt being read, then its answer being written, in one sequence of the context."""

    number: int
    prompt: PreparedPrompt
    sequence: Sequence
    sampler: Sampler
    writing: Writing
    to_read: int
    pending: int = -1  # drawn, not yet computed

    @property
    def unread(self) -> int:
        """Prompt tokens that are not computed yet."""
        return max(0, len(self.prompt.tokens) - len(self.sequence.tokens))


class GgufEngine:
    """See the module. Raises ModelNotLoadable when the file or its template is unusable."""

    def __init__(self, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        limits = spec.limits
        self._model = LlamaModel(spec.path, limits.gpu_layers, progress)
        self._chat = Chat(self._model)
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
        self._pace = Pace()
        self._admitted: dict[int, PreparedPrompt] = {}
        self._answers: dict[int, Answer] = {}
        self._warm_up()

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        tokens = self._chat.tokens(prompt.messages)
        return prepared(tokens, prompt.owner, prompt.sampling, self.info.context_length)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        if len(self._admitted) + len(self._answers) >= self.info.slots:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> list[tuple[int, Event]]:
        """One batch: a token for every running answer, a piece of the unread prompts."""
        events = self._start_admitted()
        running = [answer for answer in self._answers.values() if not answer.unread]
        rows = [(answer, self._add_token(answer)) for answer in running]
        reading = [answer for answer in self._answers.values() if answer.unread]
        pieces = share_out(reading, self._pace, len(running))
        rows += [(answer, self._add_piece(answer, size)) for answer, size in pieces]
        begun = time.perf_counter()
        self._context.decode()
        for answer, row in rows:
            events += self._after(answer, row)
        read = sum(size for _, size in pieces)
        self._pace.record(time.perf_counter() - begun, len(running), read)
        return events

    def drop(self, job: int) -> None:
        """Forget the job; what it computed stays reusable."""
        self._admitted.pop(job, None)
        if answer := self._answers.pop(job, None):
            self._finish(answer)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU threads."""
        self._context.set_threads(threads)

    def close(self) -> None:
        """Free the context and the weights."""
        self._context.close()
        self._model.close()

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> list[tuple[int, Event]]:
        """Give sequences to admitted jobs, in order, as far as there is room."""
        events: list[tuple[int, Event]] = []
        for job, prompt in list(self._admitted.items()):
            if self._is_being_read(prompt):
                continue
            room = len(prompt.tokens) + self._limit(prompt)
            sequence = self._cache.claim(prompt.owner, prompt.tokens, room)
            if sequence is None:
                break
            del self._admitted[job]
            self._answers[job] = self._begin(job, prompt, sequence)
            events.append((job, Started(len(prompt.tokens), len(sequence.tokens))))
        return events

    def _is_being_read(self, prompt: PreparedPrompt) -> bool:
        """Whether an answer is just computing a prefix that this prompt could share soon."""
        reading = [one for one in self._answers.values() if one.unread]
        return is_being_read(prompt, ((one.prompt, len(one.sequence.tokens)) for one in reading))

    def _limit(self, prompt: PreparedPrompt) -> int:
        return prompt.longest_answer(self._default_max_tokens, self.info.context_length)

    def _begin(self, job: int, prompt: PreparedPrompt, sequence: Sequence) -> Answer:
        limit, cached = self._limit(prompt), len(sequence.tokens)
        return Answer(
            number=job,
            prompt=prompt,
            sequence=sequence,
            sampler=Sampler(prompt.sampling, self._model.vocabulary_size, limit),
            writing=Writing(prompt, limit, cached),
            to_read=len(prompt.tokens) - cached,
        )

    # ---------------------------------------------------------------- one step

    def _add_token(self, answer: Answer) -> int:
        position = len(answer.sequence.tokens)
        row = self._context.add(answer.sequence.id, position, [answer.pending], output=True)
        self._cache.grow(answer.sequence, [answer.pending])
        return row

    def _add_piece(self, answer: Answer, size: int) -> int:
        done = len(answer.sequence.tokens)
        piece = answer.prompt.tokens[done : done + size].tolist()
        row = self._context.add(answer.sequence.id, done, piece, output=answer.unread == size)
        self._cache.grow(answer.sequence, piece)
        return row

    def _after(self, answer: Answer, row: int) -> list[tuple[int, Event]]:
        """Draw the next token of an answer, or report how far its prompt has been read."""
        if answer.unread:
            read = Progress("prefill", len(answer.sequence.tokens), len(answer.prompt.tokens))
            return [(answer.number, read)]
        answer.pending = answer.sampler.draw(self._context, row)
        events = answer.writing.push(self._model.piece(answer.pending))
        if events and isinstance(events[-1], End):
            del self._answers[answer.number]
            self._finish(answer)
        return [(answer.number, event) for event in events]

    def _finish(self, answer: Answer) -> None:
        answer.sampler.close()
        self._cache.release(answer.sequence)

    def _warm_up(self) -> None:
        """Compute one token, so that the first request does not wait for the disk."""
        self._context.add(0, 0, [0], output=True)
        self._context.decode()
        self._context.clear()


build = GgufEngine
