"""Where a server can be reached from its own machine."""

from __future__ import annotations

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def local_url(host: str, port: int) -> str:
    """The address for programs on this machine of a server that listens on ``host``."""
    here = _EVERYWHERE.get(host, host)
    return f"http://{f'[{here}]' if ':' in here else here}:{port}"
