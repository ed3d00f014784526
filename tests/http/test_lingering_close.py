"""A refusal arrives although the client, which wants to close, is still sending."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import serving
from tests.http.wire import HOST, JSON, connected

BLOCK = b"x" * 100_000
LENGTH = 60 * len(BLOCK)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(api_keys="secret") as client:
        yield client


@pytest.mark.parametrize(("key", "status"), [(b"secret", b"413"), (b"wrong", b"401")])
@pytest.mark.parametrize("closes", [b"close", b"keep-alive"])
def test_it_can_send_all_and_read_why(
    client: httpx.Client, key: bytes, status: bytes, closes: bytes
) -> None:
    head = b"POST /api/v1/chat HTTP/1.1\r\n" + HOST + JSON
    head += b"Connection: %s\r\nX-API-Key: %s\r\nContent-Length: %d\r\n\r\n" % (
        closes,
        key,
        LENGTH,
    )
    for _ in range(3):
        with connected(client) as raw:
            raw.sendall(head)
            for _ in range(LENGTH // len(BLOCK)):
                raw.sendall(BLOCK)
            assert raw.recv(100).split()[1] == status
