"""Runs pip, and ends when the process that started it closes standard input or dies.

It is started by its path with ``python -P``, so that pip imports nothing from the working
directory.
"""

from __future__ import annotations

import os
import runpy
import threading


def _end_with_parent() -> None:
    # Nothing is ever sent, so this returns when the other end is closed. It does not use sys.stdin,
    # whose lock this thread would hold while Python shuts down.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
