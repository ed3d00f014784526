"""Texts, load and checks of the workload ``encoders``."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.contestants.connection import post
from bench.inputs.encoder_texts import DOCUMENTS, FRAME, encoding, reranking, texts
from bench.report.figures import ENCODER_FIGURES
from bench.report.goals import GOALS
from bench.workloads import encoders
from bench.workloads.encoders import crowd

WORDS = ["one", "two", "three"]


def test_texts_have_so_many_tokens_and_come_again() -> None:
    lengths = {
        kind: [len(text.split()) + FRAME for text in texts(kind, "a", 400, WORDS)]
        for kind in ("short", "long", "mixed")
    }
    assert set(lengths["short"]) == {16}
    assert set(lengths["long"]) == {200}
    assert (min(lengths["mixed"]), max(lengths["mixed"])) == (8, 252)
    assert texts("mixed", "a", 3, WORDS) == texts("mixed", "a", 3, WORDS)
    assert texts("mixed", "a", 3, WORDS) != texts("mixed", "b", 3, WORDS)


def test_a_ranking_has_a_hundred_documents_and_no_two_pictures_are_alike() -> None:
    body = json.loads(reranking("a", WORDS).partition(b"\r\n\r\n")[2])
    assert len(set(body["documents"])) == DOCUMENTS == 100
    assert encoding("a") != encoding("b")


@contextmanager
def server() -> Iterator[tuple[int, Counter[str], list[int]]]:
    """A server that counts what it is asked, and by how many at the same time."""
    asked: Counter[str] = Counter()
    connections = [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            connections[0] += 1
            super().setup()

        def do_POST(self) -> None:
            asked[self.rfile.read(int(self.headers["Content-Length"])).decode()] += 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield running.server_port, asked, connections
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.mark.parametrize("clients", [1, 3, 16])
def test_a_crowd_asks_everything_once(clients: int) -> None:
    requests = [post("/v1/embeddings", {"input": str(number)}) for number in range(10)]
    with server() as (port, asked, connections):
        assert crowd(port, requests, clients) > 0
    assert sorted(asked.values()) == [1] * 10
    assert connections == [min(clients, 10)]


def test_contestants_have_to_compute_the_same() -> None:
    assert encoders._check([1.0, 2.0], []) == [1.0, 2.0]
    assert encoders._check([1.0, 2.0], [1.0005, 2.0]) == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="different numbers"):
        encoders._check([1.0, 2.0], [1.0, 2.1])
    with pytest.raises(ValueError, match="shorter"):
        encoders._check([1.0, 2.0], [1.0])


def test_every_promise_has_a_figure() -> None:
    promised = {goal.figure for goal in GOALS if goal.figure.startswith("encoders.")}
    assert len(promised) == 6
    assert promised <= ENCODER_FIGURES.keys()
