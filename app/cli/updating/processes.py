"""Commands that an update runs, and Ctrl-C while it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil
import typer

from app.cli.project import RUN
from app.cli.service.control import LONGEST_STOP
from app.cli.updating.errors import StepFailed

COMMAND_LINE = (sys.executable, "-m", "app.cli")
"""Unlike ``run.sh``, it stays in the current folder, whose settings and database are meant."""
INSTALL = (str(RUN), "install")


def run(command: Sequence[str], environment: dict[str, str], seconds: float | None = None) -> None:
    """Run a command until it ends; raises StepFailed. Ctrl-C is for this process alone."""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end_with_children(process)
            raise StepFailed(f"{_name(command)} has not ended after {seconds:.0f} s") from None
        except BaseException:
            _end_with_children(process)
            raise
    if status:
        raise StepFailed(f"{_name(command)} failed")


def _name(command: Sequence[str]) -> str:
    own = tuple(command[: len(COMMAND_LINE)]) == COMMAND_LINE
    return f"./run.sh {command[len(COMMAND_LINE)] if own else 'install'}"


def _end_with_children(process: subprocess.Popen[bytes]) -> None:
    """End all that it has started: also a server's keeper, which is in a session of its own."""
    with suppress(psutil.Error):
        family = [*psutil.Process(process.pid).children(recursive=True)]
        for one in (process, *family):
            with suppress(psutil.Error, ProcessLookupError):
                one.terminate()
        _, alive = psutil.wait_procs(family, timeout=LONGEST_STOP)
        for one in (process, *alive):
            with suppress(psutil.Error, ProcessLookupError):
                one.kill()


def say(text: str) -> None:
    """Print a line of the way back, which goes on where nobody can read it any more."""
    try:
        typer.echo(text, err=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):  # those of the commands that follow too
            os.dup2(nowhere, descriptor)


class Interruption:
    """Ctrl-C, a closed terminal and SIGTERM raise KeyboardInterrupt, except while it is held."""

    def __init__(self) -> None:
        self._held = False
        self._came = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                signal.signal(number, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        self._came = True
        if not self._held:
            raise KeyboardInterrupt

    def hold(self) -> None:
        """Let nothing interrupt this process from now on."""
        self._held = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nothing interrupt this block; what came meanwhile counts at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise KeyboardInterrupt
