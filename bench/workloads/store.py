"""What the database of conversations costs, small and large, beside bare SQL doing the same work.

Every contestant gets its own copy of the file: first it reads there, then it appends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import ParamSpec
from urllib.parse import urlencode

from app.chat.request import TurnRequest
from app.conversations.store import conversations, endings, listing, turns
from app.conversations.store.endings import TurnEnding
from app.conversations.target import GenerationTarget
from app.provider.engines.echo.format import ECHO
from app.provider.pool.pool import ModelPool, PoolConfig
from app.provider.types import Sampling
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.database import Database
from app.web.auth import LOCAL
from bench.baselines.sqlite import RawStore
from bench.contestants import process
from bench.contestants.connection import ask, connect, get, post
from bench.contestants.servers import OURS, SQLITE, STORE, own_command, own_settings
from bench.inputs import population
from bench.inputs.texts import QUERIES, SCATTERED, texts
from bench.plan import Plan
from bench.report.samples import Sample

PAGE = 20
LONGEST = 500
"""Entries of a list and messages of a conversation on one page, as the server has it."""

WARM_UP = 50
ECHOED = 8
POOL = ModelPool(PoolConfig(Path(), echo=True))
"""For the targets of turns; no model is asked."""

USAGE, CONTEXT = population.ANSWERED["usage"], population.ANSWERED["context"]

P = ParamSpec("P")

Times = dict[str, list[float]]
"""Seconds of every call, by what was done."""


@dataclass(frozen=True)
class Tasks:
    """What everybody is asked, in this order."""

    places: list[tuple[int, str] | None]
    conversations: list[str]
    queries: list[str]
    scattered: list[str]
    turns: list[tuple[str, str, str]]

    @classmethod
    def of(cls, path: Path, count: int) -> Tasks:
        """Random ones for a file; every fourth page of the list is the first."""
        random, count = Random(1), WARM_UP + count
        with contextlib.closing(sqlite3.connect(path)) as file:
            keys = file.execute("SELECT updated_at, id FROM conversations ORDER BY id").fetchall()
        kinds = random.choices(list(QUERIES.values()), k=count)
        contents = texts(2 * count, seed=count)
        return cls(
            places=[None if one % 4 == 0 else random.choice(keys) for one in range(count)],
            conversations=[random.choice(keys)[1] for _ in range(count)],
            queries=[random.choice(kind) for kind in kinds],
            scattered=random.choices(SCATTERED, k=WARM_UP + 200),
            turns=[(random.choice(keys)[1], next(contents), next(contents)) for _ in range(count)],
        )


def run(plan: Plan) -> Iterator[Sample]:
    """A small and a large store, and by how much everything has grown between them."""
    small, large = (_size(plan, count) for count in plan.scale.stored)
    for (who, figure), value in small.items():
        yield Sample(f"store.small.{figure}", who, 0, value)
    for (who, figure), value in large.items():
        yield Sample(f"store.large.{figure}", who, 0, value)
        if not figure.endswith("max"):
            yield Sample(f"store.grown.{figure}", who, 0, value / small[who, figure])


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    p99 = quantiles(seconds, n=100, method="inclusive")[98]
    named = {"p50": median(seconds), "p99": p99, "max": max(seconds)}
    return {name: value * 1000 for name, value in named.items()}


def _size(plan: Plan, messages: int) -> dict[tuple[str, str], float]:
    """All figures of one size, by contestant and name."""
    print(f"  filling a store with {messages:,} messages, unless it is there", flush=True)
    path = population.ensure(plan.cache, messages)
    tasks = Tasks.of(path, plan.scale.store_calls)
    contestants = {OURS: _served, STORE: _called, SQLITE: _raw}
    return {
        (who, f"{task}.{name}"): value
        for who, measure in contestants.items()
        for task, seconds in _measured(measure, path, tasks).items()
        for name, value in percentiles(seconds).items()
    }


def _measured(measure: Callable[[Path, Tasks], Times], path: Path, tasks: Tasks) -> Times:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy = Path(shutil.copy(path, folder))
        os.sync()  # or the copy is still being written while commits are timed
        times = measure(copy, tasks)
    return {task: seconds[WARM_UP:] for task, seconds in times.items()}


# ---------------------------------------------------------------- bare SQL


def _raw(path: Path, tasks: Tasks) -> Times:
    page = PAGE + 1
    with contextlib.closing(RawStore(path, LOCAL)) as store:
        return {
            "list": [timed(store.newest, page, place) for place in tasks.places],
            "open": [timed(store.opened, name) for name in tasks.conversations],
            "search": [timed(store.found, query, page) for query in tasks.queries],
            "scattered": [timed(store.found, query, page) for query in tasks.scattered],
            **_appended([_raw_turn(store, *turn) for turn in tasks.turns]),
        }


def _raw_turn(
    store: RawStore, conversation_id: str, question: str, answer: str
) -> tuple[float, float]:
    begun = time.perf_counter()
    turn = store.asked(conversation_id, question)
    between = time.perf_counter()
    store.answered(turn, answer, USAGE, CONTEXT)
    return between - begun, time.perf_counter() - between


def timed(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    work(*args, **kwargs)
    return time.perf_counter() - begun


def _appended(halves: list[tuple[float, float]]) -> Times:
    """Whole turns; and both of their messages, each stored for itself."""
    messages = [one for both in halves for one in both]
    return {"turn": [sum(both) for both in halves], "message": messages}


# ---------------------------------------------------------------- the store's functions


def _called(path: Path, tasks: Tasks) -> Times:
    database = Database(population.url(path))
    try:
        return asyncio.run(_call(database, tasks))
    finally:
        database.close()


async def _call(database: Database, tasks: Tasks) -> Times:
    read = database.read
    return {
        "list": [
            await waited(read(listing.list_conversations, LOCAL, PAGE + 1, place))
            for place in tasks.places
        ],
        "open": [
            await waited(read(conversations.branch, LOCAL, name, LONGEST, None))
            for name in tasks.conversations
        ],
        "search": [
            await waited(read(listing.search_conversations, LOCAL, query, PAGE + 1, None))
            for query in tasks.queries
        ],
        "scattered": [
            await waited(read(listing.search_conversations, LOCAL, query, PAGE + 1, None))
            for query in tasks.scattered
        ],
        **_appended([await _turn(database, *turn) for turn in tasks.turns]),
    }


def _target(conversation_id: str, question: str) -> GenerationTarget:
    return GenerationTarget(
        owner=LOCAL,
        pool=POOL,
        model=ECHO,
        system=None,
        question=question,
        sampling=Sampling(),
        template=None,
        changed_defaults=population.SETUP,
        answer_tokens=1024,
        max_messages=LONGEST,
        max_images=0,
        conversation_id=conversation_id,
    )


async def waited(work: Awaitable[object]) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


async def _turn(
    database: Database, conversation_id: str, question: str, answer: str
) -> tuple[float, float]:
    request = TurnRequest(message=question, conversation_id=conversation_id)
    target = _target(conversation_id, question)
    asked = await waited(database.write(turns.begin, request, target))
    ids = (conversation_id, target.answer_id)
    ending = TurnEnding("complete", answer, "stop", USAGE)
    return asked, await waited(database.write(endings.end, *ids, ending, CONTEXT))


# ---------------------------------------------------------------- over HTTP


def _served(path: Path, tasks: Tasks) -> Times:
    port = process.free_port()
    with tempfile.TemporaryDirectory() as empty:
        env = own_settings(port, MODELS_DIR=empty, ENABLE_ECHO="true")
        env |= {"DATABASE_URL": population.url(path), "PAGE_SIZE": str(PAGE)}
        with process.running(own_command(), env, port, "/health"), connect(port) as line:
            return {
                "list": [_asked(line, _list(place)) for place in tasks.places],
                "open": [_asked(line, _open(name)) for name in tasks.conversations],
                "search": [_asked(line, _search(query)) for query in tasks.queries],
                "scattered": [_asked(line, _search(query)) for query in tasks.scattered],
                "chat": [_asked(line, _chat(*turn)) for turn in tasks.turns],
            }


def _asked(line: socket.socket, request: bytes) -> float:
    return ask(line, request)[0]


def _list(place: tuple[int, str] | None) -> bytes:
    if place is None:
        return get("/api/v4/conversations")
    cursor = cursors.encode(CursorKey(*place), "conversations", LOCAL)
    return get(f"/api/v4/conversations?{urlencode({'cursor': cursor})}")


def _open(conversation_id: str) -> bytes:
    return get(f"/api/v4/conversations/{conversation_id}")


def _search(query: str) -> bytes:
    return get(f"/api/v4/conversations?{urlencode({'query': query})}")


def _chat(conversation_id: str, question: str, _: str) -> bytes:
    """A whole turn; the echo engine answers with the first words of the question."""
    body: dict[str, object] = {"conversation_id": conversation_id, "message": question}
    return post("/api/v4/chat", body | {"model": "echo", "max_tokens": ECHOED})
