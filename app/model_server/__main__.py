"""The process: ``python -m app.model_server FD LOCK``, started by ``launch.start``.

At FD it gets its configuration, and answers when it listens; where it cannot, it ends and the log
says why. LOCK is the descriptor of the lock that says that it runs. It ends when nobody needs it
any more, or by SIGTERM; the engine processes end with it, however it ends, because their sockets
close.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from app.model_server.config import ServerConfig, decode
from app.model_server.services import serve
from app.provider.model_server.endpoint import Endpoint
from app.provider.runtime import frames
from app.web import log_setup

log = logging.getLogger(__name__)


def main() -> None:
    """Serve until nobody needs the models any more."""
    # A terminal sends these to its whole group; the API processes decide when this one ends.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    channel, lock = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(lock, False)
    config = decode(frames.receive(channel))
    log_setup.configure(config.log_level)
    endpoint = Endpoint(config.name)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(config, endpoint, channel))
    logging.shutdown()
    os._exit(0)  # a thread that computes a checksum is not waited for


async def _run(config: ServerConfig, endpoint: Endpoint, channel: socket.socket) -> None:
    listener = endpoint.listen()
    try:
        with channel, suppress(OSError):  # who has started it may have gone
            channel.sendall(b"ready\n")
        log.info("model server %d: started", os.getpid())
        await serve(config, listener)
    finally:
        endpoint.remove()
        log.info("model server %d: ended", os.getpid())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop that the API has too, where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 — not on every system
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
