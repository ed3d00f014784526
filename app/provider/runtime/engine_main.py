"""How an engine process begins and ends, whatever loop it runs."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)


def run_engine_process(serve: Callable[[socket.socket], None]) -> None:
    """Serve the host at the other end of the socket ``argv[1]``, then end at once.

    Nothing needs cleaning up, and waiting for a library's thread could take for ever.
    """
    # A terminal sends these to its whole group; the host decides when an engine ends.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(format="%(levelname)s engine %(process)d: %(message)s")
    code = 0
    try:
        serve(socket.socket(fileno=int(sys.argv[1])))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host has gone
    except BaseException:
        log.critical("the engine failed", exc_info=True)
        code = 1
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
