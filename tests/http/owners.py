"""One server with an owner for every test, so that tests do not see each other's things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from tests.conftest import serving

KEYS = [f"key-{number}" for number in range(500)]

Owner = Callable[[], httpx.Client]
"""Makes a client with an API key that nobody else has."""


@contextmanager
def owners(**settings: Any) -> Iterator[Owner]:
    unused = iter(KEYS)
    with serving(api_keys=KEYS, **settings) as server, ExitStack() as clients:

        def owner() -> httpx.Client:
            return clients.enter_context(client(server, next(unused)))

        yield owner


def client(server: httpx.Client, key: str) -> httpx.Client:
    """Somebody at this server, with this key."""
    return httpx.Client(base_url=server.base_url, headers={"X-API-Key": key}, timeout=60)
