"""A server that ends with the program that started it, even when that is killed.

It is given a pipe as its standard input, whose other end only that program has.
"""

from __future__ import annotations

import os
import signal
import threading

COMMAND = ("-m", "app.cli.attached")
"""Arguments of Python that start one."""


def _end_with_the_pipe() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve until then."""
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    from app.cli.serve import main as serve  # noqa: PLC0415 - who starts one need not load it

    serve()


if __name__ == "__main__":
    main()
