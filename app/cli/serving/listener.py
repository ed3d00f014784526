"""The socket that clients connect to; several processes may accept from it."""

from __future__ import annotations

import errno
import socket

BACKLOG = 2048
"""Connections that the system queues until they are accepted."""

ACCEPTED_AT_ONCE = 16
"""asyncio accepts as many as its backlog, before any of them can be refused: far fewer than
SPARE_DESCRIPTORS."""


class CannotListen(Exception):
    """The address is taken, forbidden or not one of this machine; ``str()`` says which."""


def bind(host: str, port: int) -> socket.socket:
    """Bind the port before the slow part of the start; raises CannotListen."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(_why(error, host, port)) from error
    return listener


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use: stop the other program or choose another port, PORT=8001."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights: choose one above 1023, like PORT=8001."
    return f"HOST={host} is not an address of this machine: {error.strerror}."
