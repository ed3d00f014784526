"""One of several API processes: ``python -m app.cli.serving.worker FD LISTENER NUMBER``.

FD is a socket to the parent. It brings the assignment, tells the parent how far this process is,
and its end tells this process that the parent is gone. LISTENER is the socket that clients connect
to.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import partial

from app.cli.serving.listener import ACCEPTED_AT_ONCE
from app.cli.serving.messages import Assignment, Progress, Report, encode, read_assignment
from app.cli.serving.server import Server
from app.config.settings import restored
from app.lifespan.engine_runtime import WorkerGroup
from app.main import create_app
from app.templates.library import BrokenTemplate
from app.web.bounds import raise_descriptor_limit
from app.web.server import uvicorn_config


def main() -> None:
    """Serve until the parent ends this process, or is gone itself."""
    gc.disable()  # as ``app.cli`` does for one process
    connection, listener = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    listener.set_inheritable(False)
    reporter = Parent(connection)
    # The terminal sends its end to all processes; the parent tells this one when to finish.
    signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        run(reporter.assignment(), int(sys.argv[3]), listener, reporter)
    except BrokenTemplate as error:
        reporter.report("failed", str(error))
        sys.exit(1)
    except KeyboardInterrupt:  # it has shut down properly
        sys.exit(128 + signal.SIGINT)


def run(assignment: Assignment, number: int, listener: socket.socket, reporter: Parent) -> None:
    """Serve; raises BrokenTemplate before it listens."""
    settings = restored(assignment.settings, assignment.given)
    bounds = settings.connections(raise_descriptor_limit(), assignment.size)
    workers = WorkerGroup(assignment.size, True, assignment.instance, leads=number == 0)
    app = partial(create_app, settings, bounded=True, prepared=True, workers=workers)
    config = uvicorn_config(app, bounds, factory=True, backlog=ACCEPTED_AT_ONCE)
    server = Server(config, bounds.connections, reporter)
    server.run([listener])
    if server.failure:
        raise server.failure


class Parent:
    """The process that has started this one."""

    def __init__(self, connection: socket.socket) -> None:
        connection.set_inheritable(False)
        self._connection = connection

    def assignment(self) -> Assignment:
        """What this process is to do; from now on it ends with the parent."""
        with self._connection.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            sys.exit(1)  # the parent is gone already
        threading.Thread(target=self._end_with_it, daemon=True).start()
        return read_assignment(line)

    def _end_with_it(self) -> None:
        """Finish what has begun, as after Ctrl-C, when the parent is gone."""
        with suppress(ConnectionError):  # reset, where reports are left that it has not read
            while self._connection.recv(1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    def listening(self) -> None:
        """Say that requests are answered from now on."""
        self.report("listening")

    def loaded(self) -> None:
        """Say that everything is loaded but the models."""
        self.report("loaded")

    def say(self, text: str) -> None:
        """Pass on a line about the default model."""
        self.report("says", text)

    def report(self, progress: Progress, text: str = "") -> None:
        """Send a report; where the parent is gone, nobody needs it."""
        try:
            self._connection.sendall(encode(Report(progress, text)) + b"\n")
        except OSError:
            return


if __name__ == "__main__":
    main()
