"""A server that ends with the program that started it, by whose pipe it hangs."""

from __future__ import annotations

import os
import signal
import threading

from app.cli.serve import main


def _end_with_the_pipe() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    main()
