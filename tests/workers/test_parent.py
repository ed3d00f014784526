"""The parent as a worker sees it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.serving.messages import Assignment, encode

ROOT = Path(__file__).parents[2]
WORKER = """
import signal, socket, sys
from app.cli.serving.worker import Parent

parent = Parent(socket.socket(fileno=int(sys.argv[1])))
parent.assignment()
parent.loaded()
print("reported", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("unread", [False, True], ids=["all is read", "a report is unread"])
def test_a_worker_ends_with_its_parent(unread: bool) -> None:
    """An end with unread data resets the connection; only the other way is the end of a file."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", WORKER, str(theirs.fileno())]
    with (
        ours,
        theirs,
        subprocess.Popen(
            command, cwd=ROOT, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE
        ) as worker,
    ):
        theirs.close()
        ours.send(encode(Assignment(1, "", "{}", [])) + b"\n")
        assert worker.stdout
        assert worker.stdout.readline() == b"reported\n"
        if not unread:
            ours.recv(2**16)
        ours.close()
        assert worker.wait(60) == -signal.SIGTERM
