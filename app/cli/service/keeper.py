"""The process that keeps a server in the background: ``python -m app.cli.service.keeper``."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
from logging.handlers import RotatingFileHandler

from app.cli.attached import COMMAND
from app.cli.service.state import LOG, StateFile, held

LARGEST_LOG = 10 * 2**20
"""Bytes of a file of the log."""
OLD_LOGS = 5

ADDRESS = re.compile(r"Start here\s+(http://\S+?)/?\s")
"""What the server prints when it answers."""


def main() -> int:
    """Run a server until it ends or somebody stops it; its exit status. Raises AlreadyRunning."""
    with held() as state:
        process = subprocess.Popen(
            [sys.executable, *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: process.terminate())
        _write_log(process, state)
        return process.wait()


def _write_log(process: subprocess.Popen[str], state: StateFile) -> None:
    """Copy what the server prints, until it and all that it has started are gone."""
    log = _log()
    for line in process.stdout or ():
        log.info("%s", line.rstrip("\n"))
        if found := ADDRESS.search(line):
            state.write(found[1])


def _log() -> logging.Logger:
    handler = RotatingFileHandler(LOG, maxBytes=LARGEST_LOG, backupCount=OLD_LOGS, encoding="utf-8")
    log = logging.getLogger("keeper")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    return log


if __name__ == "__main__":
    sys.exit(main())
