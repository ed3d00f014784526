"""Texts, pairs and pictures per second, of one client and of sixteen, beside the libraries alone.

Every contestant gets the same requests over kept-open connections and has to make the same vectors.
"""

from __future__ import annotations

import json
import selectors
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bench.contestants.connection import ask, connect, receive
from bench.contestants.encoder_servers import contestants, serving
from bench.inputs.encoder_texts import (
    DOCUMENTS,
    LENGTHS,
    embedding,
    encoding,
    reranking,
    texts,
    vocabulary,
)
from bench.models import encoders
from bench.plan import Plan, Scale
from bench.report.samples import Sample

CLIENTS = (1, 16)
SHARES = {"short": 8, "long": 1, "mixed": 2}
"""How many texts of each kind take about as long."""
TOLERANCE = 1e-3
"""By how much numbers of two contestants may differ."""


def run(plan: Plan) -> Iterator[Sample]:
    """Each contestant, freshly started in each round."""
    models = encoders.ensure(plan.cache)
    if models is None:
        return
    words = vocabulary(models.sources / encoders.EMBEDDER)
    expected: list[float] = []
    for number in range(plan.scale.rounds):
        for who in contestants():
            with serving(who, models, plan.threads) as port:
                expected = _check(_warm_up(port, words), expected)
                for figure, value in _figures(port, plan.scale, words):
                    yield Sample(f"encoders.{figure}", who, number, value)


def _figures(port: int, scale: Scale, words: list[str]) -> Iterator[tuple[str, float]]:
    for kind in LENGTHS:
        for clients in CLIENTS:
            count = scale.encoder_texts * SHARES[kind] * (1 if clients == 1 else 4)
            requests = [embedding(text) for text in texts(kind, f"{clients}", count, words)]
            yield f"{kind}.{clients}", count / crowd(port, requests, clients)
    requests = [reranking(f"{number}", words) for number in range(scale.encoder_rankings)]
    yield "rerank.1", DOCUMENTS * len(requests) / crowd(port, requests, 1)
    for clients in CLIENTS:
        requests = [encoding(f"{clients} {number}") for number in range(scale.encoder_pictures)]
        yield f"pictures.{clients}", len(requests) / crowd(port, requests, clients)


def crowd(port: int, requests: Sequence[bytes], clients: int) -> float:
    """Seconds until all requests are answered; each client asks again when it is answered."""
    waiting = iter(requests)
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        for request in [next(waiting) for _ in range(min(clients, len(requests)))]:
            connection = connect(port)
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
        while selector.get_map():
            for key, _ in selector.select():
                client: Any = key.fileobj
                receive(client)
                if request := next(waiting, b""):
                    client.sendall(request)
                else:
                    selector.unregister(client)
                    client.close()
        return time.perf_counter() - started


def _warm_up(port: int, words: list[str]) -> list[float]:
    """Load every model and let buffers grow; returns the numbers of all answers."""
    found: list[float] = []
    with connect(port) as connection:
        for kind in LENGTHS:
            answer = _asked(connection, embedding(texts(kind, "warm", 16, words)))
            found += [number for one in answer["data"] for number in one["embedding"]]
        ranked = _asked(connection, reranking("warm", words))["results"]
        found += [one["relevance_score"] for one in sorted(ranked, key=lambda one: one["index"])]
        found += _asked(connection, encoding("warm"))["embeddings"][0]
    return found


def _asked(connection: Any, request: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ask(connection, request)[1])
    return answer


def _check(found: list[float], expected: list[float]) -> list[float]:
    """Raise RuntimeError unless a contestant computes what the others compute."""
    pairs = list(zip(found, expected or found, strict=True))
    worst = max(abs(one - other) for one, other in pairs)
    if worst > TOLERANCE:
        raise RuntimeError(f"the contestants compute different numbers: {worst:.2g} apart")
    return found
