"""The parent of several API processes: starts them, and starts again those that die."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from app.cli.serving.announcements import addresses, announce
from app.cli.serving.errors import ServingFailed
from app.cli.serving.messages import Assignment, Report
from app.cli.serving.model_server import OwnedModelServer
from app.cli.serving.worker_process import WorkerProcess
from app.config import Settings
from app.config.address import local_url
from app.model_server.config import config_of
from app.provider.runtime.backoff import BackOff
from app.provider.runtime.engine_process import how_it_ended
from app.web import log_setup
from app.web.server import FINISH_SECONDS

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

LONGEST_STOP = 2 * FINISH_SECONDS + 5.0
"""Seconds that workers may take to end before they are killed: connections have FINISH_SECONDS,
then answers without a reader have as many."""


def supervise(settings: Settings, listener: socket.socket) -> None:
    """Serve with several processes until a signal comes, which is raised again in the end.

    Raises ServingFailed.
    """
    gc.enable()  # a start goes without, and this process loads no more
    log_setup.configure(settings.log_level)
    ended_by = asyncio.run(Supervisor(settings, listener).run())
    ending = signal.default_int_handler if ended_by == signal.SIGINT else signal.SIG_DFL
    signal.signal(ended_by, ending)
    signal.raise_signal(ended_by)


class Supervisor:
    """Runs the workers of one address, and owns the model server that they share."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._root = local_url(settings.host, listener.getsockname()[1])
        self._assignment = Assignment(
            settings.workers,
            self._root,
            settings.model_dump_json(),
            sorted(settings.model_fields_set),
        )
        config = config_of(settings)
        self._model_server = OwnedModelServer(replace(config, instance=self._root))
        self._workers: dict[int, WorkerProcess] = {}
        self._stopping = asyncio.Event()
        self._signal: signal.Signals = signal.SIGTERM
        self._printed: set[str] = set()

    async def run(self) -> signal.Signals:
        """Serve until a signal comes, and return it; raises ServingFailed."""
        keeping = [
            asyncio.create_task(self._keep(number)) for number in range(self._settings.workers)
        ]
        starting = asyncio.create_task(self._model_server.start())
        starting.add_done_callback(self._stop_if_failed)
        stopping = asyncio.create_task(self._stopping.wait())
        with self._signals():
            await asyncio.wait([stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
            await self._end(keeping)
            starting.cancel()
            await asyncio.wait([starting])
            await self._model_server.close()
        failures = [task.exception() for task in (starting, *keeping) if not task.cancelled()]
        for failure in filter(None, failures):  # asyncio reports those that nobody has looked at
            raise failure
        return self._signal

    def _stop_if_failed(self, starting: asyncio.Task[None]) -> None:
        if not starting.cancelled() and starting.exception():
            self._stopping.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on each signal, but for those that whoever started this has had ignored (nohup)."""
        loop = asyncio.get_running_loop()
        heard = [one for one in STOP_SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        for one in heard:
            loop.add_signal_handler(one, self._stop, one)
        try:
            yield
        finally:
            for one in heard:
                loop.remove_signal_handler(one)

    def _stop(self, number: signal.Signals) -> None:
        """Let the workers finish what has begun; a second Ctrl-C ends them at once."""
        if not self._stopping.is_set():
            self._signal = number
            self._stopping.set()
        elif number == signal.SIGINT:
            self._send(number)

    # ---------------------------------------------------------------- one worker

    async def _keep(self, number: int) -> None:
        """Keep a worker running; raises ServingFailed where its first process cannot start."""
        back_off, was_up = BackOff(), False
        while not self._stopping.is_set():
            began = time.monotonic()
            worker = await self._start(number)
            up, failure = await self._listen(worker, number)
            was_up |= up
            code = await worker.exit_code()
            if self._stopping.is_set():
                return
            if not was_up and code >= 0:
                raise ServingFailed(failure or "A worker could not start; its last words say why.")
            delay = back_off.failed(time.monotonic() - began)
            reason = failure or how_it_ended(code)
            log.warning("worker %d %s; another one starts in %.1f s", worker.pid, reason, delay)
            await self._pause(delay)

    async def _start(self, number: int) -> WorkerProcess:
        worker = await WorkerProcess.start(number, self._assignment, self._listener.fileno())
        self._workers[number] = worker
        if self._stopping.is_set():
            worker.send_signal(signal.SIGTERM)
        return worker

    async def _listen(self, worker: WorkerProcess, number: int) -> tuple[bool, str]:
        """Take what the worker reports until it ends: whether it got up, and why it could not."""
        up, failure = False, ""
        async for report in worker.reports():
            up |= report.progress == "loaded"
            failure = report.text if report.progress == "failed" else failure
            self._show(report, number)
        return up, failure

    def _show(self, report: Report, number: int) -> None:
        """Print the addresses, and of the model what the first worker says of it; all once."""
        if report.progress == "listening":
            self._say(addresses(self._root))
        elif report.progress == "says" and number == 0:
            self._say(report.text)

    def _say(self, text: str) -> None:
        if text not in self._printed:
            self._printed.add(text)
            announce(text)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # ---------------------------------------------------------------- the end

    async def _end(self, keeping: Sequence[asyncio.Task[None]]) -> None:
        """Take no more connections, let the workers finish, and kill those that do not."""
        self._stopping.set()
        self._listener.close()
        self._send(signal.SIGTERM)
        await asyncio.wait(keeping, timeout=LONGEST_STOP)
        self._send(signal.SIGKILL)
        await asyncio.wait(keeping)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            worker.send_signal(number)
