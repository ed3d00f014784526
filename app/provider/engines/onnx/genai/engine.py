"""The ONNX engine for GPUs: wraps the engine of onnxruntime-genai.

It runs models on cuda, webgpu and dml, and models built with paged attention. Requests of paged
models join and leave a running batch at any token; others wait until the whole batch has ended.
``genai_sampling`` says which sampling options the library has.

The library would share computed prefixes between all requests. Owners must never share, so that is
switched off. Instead a paged conversation keeps its pages after an answer, and the owner's next
turn continues it. Without paging nothing is reused.

Developed without a GPU. The tests run both kinds on a CPU: a real model in static batches, and
paging, admission, turns and seeds in dynamic batches with a graph that replaces the GPU's
operator. Execution providers other than cpu, and the real operator, have never run here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime_genai as og

from app.provider.engine import EngineInfo, EngineSpec, Events
from app.provider.engines.onnx.cpu_affinity import CpuAffinity
from app.provider.engines.onnx.genai.library import BatchLimits, Genai, GenaiEvent
from app.provider.engines.onnx.genai.sampling import check
from app.provider.engines.onnx.genai.sessions import Session, Sessions
from app.provider.engines.onnx.settings import Settings
from app.provider.errors import ModelNotLoadable, ProviderError, UnsupportedInput
from app.provider.generation.chat_template import ChatTemplate
from app.provider.generation.context_plan import ContextPlan
from app.provider.generation.output_stream import OutputStream
from app.provider.generation.prepared_prompt import PreparedPrompt
from app.provider.generation.prompt_builder import PromptBuilder
from app.provider.generation.tokenizer import HubTokenizer
from app.provider.types import End, Event, Prompt, Sampling, Tokens

log = logging.getLogger(__name__)

_FAILED_IN_A_ROW = 3
"""Runs. A run that failed changes nothing, so it can be tried again."""


@dataclass(slots=True)
class SequenceState:
    """A turn that the library computes; its session may grow to ``room`` tokens."""

    number: int
    session: Session
    output: OutputStream
    room: int
    begun: bool = False


class PagedEngine:
    """Implements ``Engine``; raises ModelNotLoadable when the library cannot run the model."""

    def __init__(
        self,
        spec: EngineSpec,
        settings: Settings,
        provider: str,
        progress: Callable[[int], None],
    ) -> None:
        limits, folder = spec.limits, Path(spec.path)
        self._vocabulary = HubTokenizer(folder, settings.ends)
        self._prompts = PromptBuilder(self._vocabulary, ChatTemplate(self._vocabulary))
        progress(10)
        self._dynamic = settings.paged
        cell_bytes = _cell_bytes(settings, provider)
        plan = ContextPlan.of(settings.context_length, cell_bytes, limits)
        self._cells = plan.cells_of_slots(limits.slots)
        # Sessions that wait for their next turn take rows as well.
        self._rows = limits.slots * 2 if self._dynamic else limits.slots
        room = BatchLimits(self._rows, plan.length, self._cells)
        self._genai = Genai(folder, settings, provider, limits.threads, room)
        progress(90)
        self._cpu_affinity = CpuAffinity()
        self.info = EngineInfo(limits.slots, self._genai.longest)
        self._default_max_tokens = limits.default_max_tokens
        self._admitted: dict[int, PreparedPrompt] = {}
        self._answers: dict[og.Request, SequenceState] = {}
        self._cancelling: dict[og.Request, SequenceState] = {}  # cancelled, still in the batch
        self._sessions = Sessions(self._genai.page)
        self._failures = 0
        self._seeds = True
        self._warm_up()

    # ---------------------------------------------------------------- the contract

    def prepare(self, prompt: Prompt) -> PreparedPrompt:
        """Template and tokenise; raises ContextOverflow, UnsupportedInput."""
        check(prompt, seeds=self._seeds)
        return self._prompts.prepare(prompt, self.info.context_length)

    def tokenize(self, prompt: Prompt, *, special: bool) -> Tokens:
        """The tokens of a prompt; raises UnsupportedInput."""
        return self._prompts.tokenize(prompt, special=special)

    def admit(self, job: int, prepared: PreparedPrompt) -> bool:
        """Take the job while a slot is free."""
        if len(self._admitted) + len(self._answers) >= self.info.slots:
            return False
        self._admitted[job] = prepared
        return True

    def step(self) -> Events:
        """Compute a token for every running answer, then start what there is room for."""
        events: Events = []
        for event in self._genai.run():
            events += self._handle(event)
        return events + self._start_admitted()

    def drop(self, job: int) -> None:
        """Forget the job; without paging its row stays in the batch until that ends."""
        self._admitted.pop(job, None)
        for answer in list(self._answers.values()):
            if answer.number == job:
                self._cancel(answer)

    def set_threads(self, threads: int) -> None:
        """Use that many CPU cores."""
        self._cpu_affinity.use(threads)

    def close(self) -> None:
        """Close all requests; the model is freed with its last reference."""
        for request in (*self._answers, *self._cancelling):
            request.close()
        while self._sessions.evict():
            pass

    # ---------------------------------------------------------------- admission

    def _start_admitted(self) -> Events:
        """Hand admitted jobs to the library, in order, as far as there is room."""
        events: Events = []
        for job, prompt in list(self._admitted.items()):
            limit = prompt.max_answer_tokens(self._default_max_tokens)
            room = self._sessions.whole_pages(len(prompt.tokens) + limit)
            known = self._sessions.take(prompt.owner, prompt.tokens)
            if not self._make_room(room):
                if known:
                    self._sessions.keep(known[0])
                break
            del self._admitted[job]
            session, cached = known or (self._new_session(prompt, limit), 0)
            answer = SequenceState(job, session, OutputStream(prompt, limit, cached), room)
            events.append((job, self._start(answer, prompt, limit, cached)))
        return events

    def _new_session(self, prompt: PreparedPrompt, limit: int) -> Session:
        longest = self.info.context_length if self._dynamic else len(prompt.tokens) + limit
        return Session(self._genai.request(longest), prompt.owner)

    def _start(
        self, answer: SequenceState, prompt: PreparedPrompt, limit: int, cached: int
    ) -> Event | ProviderError:
        session = answer.session
        start = len(session.tokens)
        try:
            turn = self._genai.begin(session.request, prompt.tokens[start:], prompt.sampling, limit)
        except RuntimeError as error:  # of this request alone
            session.request.close()
            return UnsupportedInput(f"onnxruntime-genai refuses this request: {error}")
        session.begin(turn, prompt.tokens)
        self._answers[session.request] = answer
        return prompt.started(cached)

    def _make_room(self, room: int) -> bool:
        """Evict kept sessions until there is room for one more answer; False when there is none."""
        while not self._has_room(room):
            if not self._sessions.evict():
                return not (self._answers or self._cancelling)
        return True

    def _has_room(self, room: int) -> bool:
        taken = [one.room for one in (*self._answers.values(), *self._cancelling.values())]
        rooms = [room, *taken]
        # Without paging every row of a batch is as long as the longest one.
        cells = sum(rooms) if self._dynamic else len(rooms) * max(rooms)
        rows = len(rooms) + len(self._sessions)
        return rows <= self._rows and cells + self._sessions.cells <= self._cells

    # ---------------------------------------------------------------- one step

    def _handle(self, event: GenaiEvent) -> Events:
        if event.failure:
            return self._fail(event)
        self._failures = 0
        if cancelled := self._cancelling.get(event.request):
            self._record(cancelled, event)
            if event.over:
                del self._cancelling[event.request]
                self._sessions.keep(cancelled.session)
            return []
        answer = self._answers.get(event.request)
        return self._emit(answer, event) if answer else []

    def _emit(self, answer: SequenceState, event: GenaiEvent) -> Events:
        """Turn a token, or the end of the turn, into events."""
        self._record(answer, event)
        output: list[Event | ProviderError] = []
        if event.token is not None:
            output = answer.output.push_token(event.token, self._vocabulary)
        ended = any(isinstance(one, End) for one in output)
        if event.over:
            output += [] if ended else answer.output.push(None)
            self._finish(answer)
        elif ended:
            self._cancel(answer)
        return [(answer.number, one) for one in output]

    def _record(self, answer: SequenceState, event: GenaiEvent) -> None:
        answer.begun = True
        if event.token is not None:
            answer.session.tokens.append(event.token)
        elif event.by_model:
            answer.session.whole = True

    def _finish(self, answer: SequenceState) -> None:
        """Keep or close the session of a turn that the library has ended."""
        del self._answers[answer.session.request]
        if self._dynamic:
            self._sessions.keep(answer.session)
        else:
            answer.session.request.close()

    def _cancel(self, answer: SequenceState) -> None:
        """End a turn that the library would continue."""
        session = answer.session
        del self._answers[session.request]
        if self._dynamic and answer.begun:
            session.request.cancel_turn(session.turns[-1][0])
            self._cancelling[session.request] = answer
        else:
            session.request.close()

    def _fail(self, event: GenaiEvent) -> Events:
        """Fail a request that cannot be served; a run that failed is tried again.

        Raises RuntimeError when the library's engine cannot go on, which ends the process.
        """
        if event.failure.startswith("ENGINE"):
            raise RuntimeError(f"onnxruntime-genai failed: {event.failure}")
        answer = self._answers.get(event.request)
        if answer and event.over:
            self._answers.pop(event.request).session.request.close()
            sentence = f"onnxruntime-genai could not finish this answer ({event.failure})."
            return [(answer.number, ProviderError(sentence))]
        self._failures += 1
        log.warning("a run of onnxruntime-genai failed: %s", event.failure)
        if self._failures >= _FAILED_IN_A_ROW:
            raise RuntimeError(f"onnxruntime-genai failed {self._failures} times: {event.failure}")
        return []

    def _warm_up(self) -> None:
        """Compute one turn, so that the first request does not wait; note whether seeds work."""
        request = self._genai.request(4)
        try:
            try:
                self._genai.begin(request, [0, 0], Sampling(seed=0), 2)
            except RuntimeError:
                self._seeds = False
                self._genai.begin(request, [0, 0], Sampling(), 2)
            while events := list(self._genai.run()):
                if failure := events[-1].failure:
                    raise RuntimeError(failure)
        except RuntimeError as error:
            raise ModelNotLoadable(f"onnxruntime-genai cannot run this model: {error}") from error
        request.close()


def _cell_bytes(settings: Settings, provider: str) -> int:
    """Bytes of the keys and values of a token: GPUs hold them in 16 bits."""
    numbers = 2 * settings.layers * settings.kv_heads * settings.head_width
    return numbers * (4 if provider == "cpu" else 2)
