"""Ends a program, and every process that it has started, when the process that wants it ends.

``python guard.py CONTROL FOLDER COMMAND…`` runs the command in a session of its own and tells its
process id on the socket CONTROL. When the other end of that socket closes, however its owner ended,
the program gets a moment to end by itself; then it and all its descendants are killed. Last, FOLDER
is deleted. Uses the standard library only, so that it starts quickly.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_SECONDS = 3.0
"""For the program to end by itself."""

_NOT_FOUND = 127
_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36


def _process_control() -> Callable[[int, int], object] | None:
    """``prctl`` of Linux; None elsewhere."""
    if sys.platform != "linux":
        return None
    control = ctypes.CDLL(None).prctl
    return lambda option, value: control(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """On Linux: become the parent of each descendant whose parent ends."""
    if control := _process_control():
        control(_SET_CHILD_SUBREAPER, 1)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the program; on Linux it dies with this process."""
    control = _process_control()
    adopt_orphans()

    def die_with_parent() -> None:
        if control:
            control(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 — this process has no other thread yet
    )


def _end_with_owner(owner: socket.socket, program: subprocess.Popen[bytes]) -> None:
    """End the program when its owner has gone."""
    with suppress(OSError):
        owner.recv(1)  # nothing is ever sent
    program.terminate()
    time.sleep(GRACE_SECONDS)
    kill_group(program.pid)


def kill_group(group: int) -> None:
    """Kill the processes of a group, if it is one (0: it is none)."""
    with suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(group, signal.SIGKILL)


def kill_orphans() -> None:
    """Kill all children of this process; each death may bring new ones."""
    while orphans := _children():
        for orphan in orphans:
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(orphan, 0)


def _children() -> list[int]:
    """The processes whose parent is this one; none where there is no /proc."""
    if not os.path.isdir("/proc/self"):
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_child(name)]


def _is_child(process: str) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            parent = file.read().rpartition(b")")[2].split()[1]
    except (OSError, IndexError):
        return False
    return int(parent) == os.getpid()


def main() -> None:
    """Run the program to its end and leave nothing of it behind."""
    number, folder, *command = sys.argv[1:]
    owner = socket.socket(fileno=int(number))
    try:
        program = _start(command)
    except OSError as error:
        sys.stderr.write(f"error: {command[0]} cannot be started: {error.strerror}\n")
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(_NOT_FOUND)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    with suppress(OSError):
        owner.sendall(f"{program.pid}\n".encode())
    threading.Thread(target=_end_with_owner, args=(owner, program), daemon=True).start()
    code = program.wait()
    kill_group(program.pid)
    kill_orphans()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
