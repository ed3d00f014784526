"""Clients of encoders that hang up, on real sockets: nothing is computed for them any more."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.encoding.encode import AT_ONCE, MOST_ITEMS
from tests.conftest import serving
from tests.http.encoding_wire import vectors
from tests.http.test_disconnects import engines
from tests.suspending import standing_still

MODEL = "echo-embed"
TEXTS = ["a text"] * (3 * MOST_ITEMS)
BODIES = {
    "/v1/embeddings": {"model": MODEL, "input": TEXTS},
    "/v2/embed": {"model": MODEL, "texts": TEXTS},
}


@pytest.fixture(scope="module")
def engine_and_client(empty_models: Path) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    with serving(models_dir=empty_models) as client:
        assert client.post("/api/v1/chat", json={"message": "hi"}).is_success
        before = engines()
        vectors(client, "hi")
        (engine,) = engines() - before
        yield engine, client


def wait_for(client: httpx.Client, wanted: int) -> None:
    """Until so many jobs are in the engine's hands."""
    deadline = time.monotonic() + 60
    while True:
        model = client.get("/health").json()["models"][MODEL]
        if model["active"] + model["waiting"] == wanted:
            return
        assert time.monotonic() < deadline, model
        time.sleep(0.02)


@pytest.mark.parametrize("path", BODIES)
def test_hanging_up_ends_all_jobs_of_the_request(
    engine_and_client: tuple[psutil.Process, httpx.Client], path: str
) -> None:
    engine, client = engine_and_client
    body = json.dumps(BODIES[path]).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with standing_still(engine):
        with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as raw:
            raw.sendall(head.encode() + body)
            wait_for(client, AT_ONCE)
        wait_for(client, 0)
    assert len(vectors(client, "still here")) == 1
