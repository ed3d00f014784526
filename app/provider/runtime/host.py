"""Supervises one engine from the event loop: starts its process, watches it, restarts it.

Whatever happens to the process, every request ends with its End, or with an error that says
whether trying again helps.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import nullcontext
from typing import TypeVar

from app.provider.engine import EngineSpec
from app.provider.errors import EngineBusy, EngineUnavailable, ModelNotLoadable, ProviderError
from app.provider.runtime import engine_process, messages
from app.provider.runtime.backoff import BackOff
from app.provider.runtime.engine_process import EngineProcess
from app.provider.runtime.metrics import ModelMetrics, RequestMetrics
from app.provider.runtime.request import Request
from app.provider.runtime.status import HostPolicy, HostStatus, State
from app.provider.runtime.tasks import cancel_tasks
from app.provider.types import Encode, End, Event, Job, Loaded, Progress, Prompt, Size, Tokens

log = logging.getLogger(__name__)

L = TypeVar("L", Size, Tokens, Loaded)


class EngineHost:
    """Supervises one engine process. Belongs to one event loop; ``metrics`` may outlive it.

    ``refused`` is called when the model cannot be loaded.
    """

    def __init__(
        self,
        spec: EngineSpec,
        policy: HostPolicy,
        metrics: ModelMetrics | None = None,
        refused: Callable[[ModelNotLoadable], None] = lambda _: None,
    ) -> None:
        self.metrics = metrics or ModelMetrics()
        self._refused = refused
        self._spec = spec
        self._policy = policy
        self._slots = spec.limits.slots
        self._threads = spec.limits.threads
        self._requests: dict[int, Request] = {}
        self._numbers = itertools.count()
        self._supervisor: asyncio.Task[None] | None = None
        self._process: EngineProcess | None = None
        self._state: State = "unloaded"
        self._problem: ProviderError | None = None
        self._last_message_at = self._started_at = time.monotonic()
        self._restarts = 0
        self._back_off = BackOff()

    # ---------------------------------------------------------------- for requests

    def stream(self, job: Prompt | Encode) -> AsyncGenerator[Event, None]:
        """Do ``job`` as ``submit`` does."""
        return self.submit(job)

    async def submit(
        self, job: Job, outer: RequestMetrics | None = None
    ) -> AsyncGenerator[Event, None]:
        """Do ``job``; closing the generator cancels the request in every phase.

        A caller that counts the request itself passes its own ``outer`` metrics. Raises
        EngineBusy, ContextOverflow, UnsupportedInput, ModelNotLoadable before Started, and
        EngineUnavailable at any time.
        """
        with nullcontext(outer) if outer else self.metrics.begin_request() as counted:
            number = next(self._numbers)
            request = self._register(number, Request(messages.Submit(number, job), counted))
            outcome: messages.Outcome | None = None
            try:
                while not isinstance(outcome, End):
                    outcome = await request.next()
                    if not isinstance(outcome, messages.Reply):
                        yield outcome
            finally:
                self._unregister(number, request, finished=isinstance(outcome, End))

    def measure(self, prompt: Prompt) -> AsyncGenerator[Progress | Size, None]:
        """Count the tokens of ``prompt`` after the chat template; loads the model if need be.

        Yields the progress of loading, then the size; raises what ``submit`` raises.
        """
        return self._request_once(messages.Count(next(self._numbers), prompt), Size)

    def tokenize(
        self, prompt: Prompt, *, special: bool = True
    ) -> AsyncGenerator[Progress | Tokens, None]:
        """Tokenise ``prompt`` as ``ModelHost`` describes it; otherwise as ``measure``."""
        return self._request_once(messages.Tokenize(next(self._numbers), prompt, special), Tokens)

    def load(self) -> AsyncGenerator[Progress | Loaded, None]:
        """Load the model if it is not loaded; yields the progress, then Loaded.

        A model that could not be loaded is tried again at once. Raises what ``submit`` raises.
        """
        if self._state == "failed":
            self._back_off = BackOff()
        return self._request_once(messages.Ping(next(self._numbers)), Loaded)

    async def _request_once(
        self, message: messages.Count | messages.Tokenize | messages.Ping, last: type[L]
    ) -> AsyncGenerator[Progress | L, None]:
        """Send one message and yield its outcomes, up to one of the type ``last``."""
        request = self._register(message.job, Request(message))
        try:
            outcome: object = None
            while not isinstance(outcome, last):
                outcome = await request.next()
                if isinstance(outcome, (Progress, last)):
                    yield outcome
        finally:
            self._unregister(message.job, request, finished=True)

    def start(self) -> None:
        """Begin to load the model, unless it is loaded or loading."""
        if self._supervisor is None or self._supervisor.done():
            self._state = "loading"
            self._supervisor = asyncio.create_task(self._supervise())

    def set_threads(self, threads: int) -> None:
        """Set the engine's CPU threads from its next step on."""
        if threads != self._threads:
            self._threads = threads
            self._send_threads()

    def status(self) -> HostStatus:
        """Take a snapshot for health and lists."""
        started = sum(request.started for request in self._requests.values())
        idle = time.monotonic() - self._last_message_at
        wedged = self._has_work() and idle > self._policy.stall_seconds
        return HostStatus(
            state=self._state,
            healthy=self._state in {"unloaded", "loading", "ready"} and not wedged,
            pid=self._process.pid if self._process else None,
            active=started,
            waiting=len(self._requests) - started,
            restarts=self._restarts,
            threads=self._threads,
            idle_seconds=round(idle, 3),
            problem=str(self._problem) if self._problem else None,
        )

    async def stop(self) -> None:
        """Unload the model: end the process and fail its requests."""
        await cancel_tasks(self._supervisor)
        self._supervisor = None
        self._fail_requests(EngineUnavailable("The model has been unloaded.", 1.0))
        self._state = "unloaded"

    # ---------------------------------------------------------------- one request

    def _register(self, number: int, request: Request) -> Request:
        if len(self._requests) >= self._slots + self._policy.max_waiting:
            full = f"{self._policy.max_waiting} requests are already waiting for this model."
            raise EngineBusy(full, retry_after=1.0)
        self._raise_if_backing_off()
        self.start()
        self._requests[number] = request
        self._send_unsent()
        return request

    def _raise_if_backing_off(self) -> None:
        """Refuse a request at once while a broken engine waits for its next try."""
        left = self._back_off.left
        if self._problem is None or left <= 1.0:
            return
        if self._state == "failed":
            raise self._problem
        raise EngineUnavailable(str(self._problem), retry_after=left)

    def _unregister(self, number: int, request: Request, *, finished: bool) -> None:
        self._requests.pop(number, None)
        if request.sent and not finished and self._process:
            self._process.send(messages.Cancel(number))

    def _send_unsent(self) -> None:
        if self._state != "ready" or self._process is None:
            return
        for request in self._requests.values():
            if not request.sent:
                request.sent = True
                self._last_message_at = time.monotonic()
                self._process.send(request.message)

    def _send_threads(self) -> None:
        if self._process and self._state == "ready":
            self._process.send(messages.Threads(self._threads))

    # ---------------------------------------------------------------- the supervisor

    async def _supervise(self) -> None:
        """Run the process, and restart it after a crash; ends when the model cannot be loaded."""
        try:
            while await self._run_process():
                delay = self._back_off.failed(time.monotonic() - self._started_at)
                self._state = "restarting"
                self._restarts += 1
                self.metrics.restarts += 1
                self._fail_requests(self._problem or EngineUnavailable("The engine ended.", delay))
                await asyncio.sleep(delay)
        except Exception:  # a bug here must not leave requests waiting for ever
            log.exception("an engine is not supervised any more")
        self._give_up()

    async def _run_process(self) -> bool:
        """Serve from one process until it ends; returns whether it had become ready."""
        self._state, self._problem = "loading", None
        self._started_at = time.monotonic()
        try:
            process = self._process = await EngineProcess.start(self._spec)
        except OSError as error:  # too many files or processes, no memory
            why = f"No process can be started for the model: {error.strerror}."
            self._problem = EngineUnavailable(why, 5.0)
            return False
        watchdog = asyncio.create_task(self._watch(process))
        self._last_message_at = time.monotonic()
        grace = 0.0
        try:
            while (message := await process.read()) is not None:
                self._last_message_at = time.monotonic()
                self._handle(message)
            grace = 0.0 if self._problem else engine_process.END_SECONDS
        finally:
            watchdog.cancel()
            self._process = None
            code = await asyncio.shield(process.reap(grace))
        if self._problem is None:  # nothing has explained the end yet
            log.error("engine process %d %s", process.pid, engine_process.how_it_ended(code))
        was_ready = self.status().state == "ready"
        self._problem = self._problem or engine_process.why_it_ended(code, loading=not was_ready)
        return was_ready

    def _handle(self, message: messages.Received) -> None:
        match message:
            case list():
                for number, outcome in message:
                    self._deliver(number, outcome)
            case messages.Loading(percent=percent):
                for number in self._requests:
                    self._deliver(number, Progress("loading", percent, 100))
            case ProviderError():
                self._problem = message
            case messages.Ready(info=info):
                self._slots = info.slots
                self._state = "ready"
                self._problem = None
                self.metrics.loaded(time.monotonic() - self._started_at)
                self._send_threads()
                self._send_unsent()

    def _deliver(self, number: int, outcome: messages.Outcome) -> None:
        if request := self._requests.get(number):
            if request.metrics:
                request.metrics.note(outcome)
            request.outcomes.put_nowait(outcome)

    def _give_up(self) -> None:
        """Fail the requests to a model that cannot be loaded; a later request tries again."""
        problem = self._problem or EngineUnavailable("The model could not be loaded.", 1.0)
        self._problem = problem
        self._back_off.failed()
        self._state = "failed"
        if isinstance(problem, ModelNotLoadable):
            self._refused(problem)
        self._fail_requests(problem)

    def _fail_requests(self, error: ProviderError) -> None:
        for request in self._requests.values():
            request.outcomes.put_nowait(error)

    def _has_work(self) -> bool:
        return any(request.sent for request in self._requests.values())

    async def _watch(self, process: EngineProcess) -> None:
        """Kill a process that loads for too long, or that has work and sends nothing."""
        begun = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, self._policy.stall_seconds / 4))
            now = time.monotonic()
            loads_long = self._state == "loading" and now - begun > self._policy.load_seconds
            hangs = self._has_work() and now - self._last_message_at > self._policy.stall_seconds
            if loads_long or hangs:
                slow = f"did not load the model in {self._policy.load_seconds:g} s"
                what = slow if loads_long else "hung and is being restarted"
                self._problem = EngineUnavailable(f"The engine {what}.", 1.0)
                process.kill()
                return
