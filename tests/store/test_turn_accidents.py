"""Turns that are cut off at any moment, raced by others, or cannot be stored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.conversations.errors import TurnFailed
from app.conversations.services import ConversationServices
from app.conversations.store import endings, progress
from app.conversations.store.endings import TurnEnding
from app.conversations.store.progress import AnswerProgress
from app.conversations.turn import Turn
from app.provider.types import End, Event
from app.storage.errors import StorageUnavailable
from tests.http.chatting import LONG, WHOLE
from tests.postgres import Cluster
from tests.store import audit
from tests.store.asking import asked, ids, read, until_text
from tests.store.databases import connected

pytestmark = [pytest.mark.slow, pytest.mark.sql_is_alike]

# ---------------------------------------------------------------- cut off at any moment


class CancelledAt:
    """Runs a coroutine and cancels it in its task when it waits for the ``step``-th time."""

    def __init__(self, work: Coroutine[Any, Any, Any], *steps: int) -> None:
        self._work = work
        self._steps = steps
        self.wait_when_busy = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        thrown: BaseException | None = None
        while True:
            try:
                waiting = self._work.throw(thrown) if thrown else self._work.send(None)
            except StopIteration as done:
                return done.value
            self.wait_when_busy += 1
            if self.wait_when_busy in self._steps:
                task = asyncio.current_task()
                assert task
                task.cancel()
            try:
                thrown = None
                yield waiting
            except BaseException as error:  # it belongs to the coroutine
                thrown = error


async def waits_of(turn: Turn, *steps: int) -> int:
    """Read the turn, cancelled at those of its waits; how often it waited."""

    async def run() -> int:
        reading = CancelledAt(read_to_end(turn.events()), *steps)
        with suppress(asyncio.CancelledError):
            await reading
        return reading.wait_when_busy

    return await asyncio.create_task(run())


async def read_to_end(events: AsyncGenerator[Event, None]) -> None:
    async for event_ in events:
        if isinstance(event_, End):
            break
    await events.aclose()


async def conversation(services: ConversationServices) -> str:
    turn = await asked(services, "first")
    await read(turn.events())
    return turn.target.conversation_id


def require_one_ending(url: str, turn: Turn) -> str:
    """Nothing of the turn is stored, or all of it; what its answer ended as."""
    rows = [
        row
        for row in audit.messages(url)
        if row.id in {turn.target.question_id, turn.target.answer_id}
    ]
    if not rows:
        return "nothing"
    _, answer = rows
    assert "one two three".startswith(answer.content)
    if answer.status == "complete":
        assert answer.content == "one two three"
    return str(answer.status)


async def test_cancelled_at_every_wait(services: ConversationServices, store_url: str) -> None:
    """Were an answer left unfinished, the next turn of the conversation would be refused."""
    name = await conversation(services)
    endings = []
    for step in count(1):
        turn = await asked(services, "one two three", conversation_id=name)
        waited = await waits_of(turn, step)
        endings.append(require_one_ending(store_url, turn))
        if waited < step:
            break
    assert {"stopped", "complete"} <= set(endings) <= {"nothing", "stopped", "complete"}
    assert len(endings) >= 4
    audit.require_sound(store_url)


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled_after_every_number_of_steps_of_the_loop(
    services: ConversationServices, store_url: str, times: int
) -> None:
    """More than once, too: a client that hangs up while the server shuts down does that."""
    cutting = replace(services, max_messages=1)  # then a turn writes before its answer, too
    name = await conversation(services)
    for steps in [*range(20), *range(20, 300, 15)]:
        turn = await asked(cutting, "one two three", conversation_id=name)
        reading = asyncio.create_task(read_to_end(turn.events()))
        for _ in range(steps):
            await asyncio.sleep(0)
        for _ in range(times):
            reading.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(reading, return_exceptions=True)
        assert require_one_ending(store_url, turn) in {"nothing", "stopped", "complete"}
    audit.require_sound(store_url)


async def test_closed_at_every_event(services: ConversationServices, store_url: str) -> None:
    name = await conversation(services)
    for read_so_far in range(8):
        turn = await asked(services, "one two three", conversation_id=name)
        events = turn.events()
        for _ in range(read_so_far):
            await anext(events, None)
        await events.aclose()
        require_one_ending(store_url, turn)
    audit.require_sound(store_url)


# ---------------------------------------------------------------- raced


async def test_a_sign_of_life_never_overwrites_the_end(
    services: ConversationServices, store_url: str
) -> None:
    turn = await asked(services, LONG)
    events = turn.events()
    await until_text(events)
    ending = TurnEnding("complete", "all of it", "stop")

    def end() -> None:
        services.database.transact(
            lambda session: endings.end(session, *ids(turn), ending, None), True
        )

    other = threading.Thread(target=end)
    with connected(store_url) as connection, Session(connection) as session:
        progress.save_progress(session, [AnswerProgress(*ids(turn), "all")])
        other.start()
        other.join(0.3)  # without a lock it would be through by now
        session.flush()
    other.join()
    (answer,) = audit.answers(store_url)
    assert (answer.status, answer.content, answer.lease_until) == ("complete", "all of it", None)
    await events.aclose()
    audit.require_sound(store_url)


async def test_a_question_that_came_second_follows_the_answer_to_the_first(
    services: ConversationServices, store_url: str
) -> None:
    """However fast the first is: between looking for the leaf and storing there is nobody else."""
    name = await conversation(services)
    first, second = [
        await asked(services, question, conversation_id=name) for question in ("a", "b")
    ]
    ending = TurnEnding("complete", "a", "stop")

    def go_on() -> None:
        services.database.transact(second.begin, True)

    other = threading.Thread(target=go_on)
    with connected(store_url) as connection, Session(connection) as session:
        first.begin(session)
        other.start()
        other.join(0.3)
        endings.end(session, *ids(first), ending, None)
        session.flush()
    other.join()
    await services.database.write(endings.fail_abandoned, all_running=True)
    audit.require_straight(store_url, name)


# ---------------------------------------------------------------- not to be stored


@contextmanager
def no_database(
    request: pytest.FixtureRequest, services: ConversationServices, url: str
) -> Iterator[None]:
    """What the server has open stops working."""
    if url.startswith("sqlite"):
        with full_disk(services):
            yield
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        cluster.stop()
        try:
            yield
        finally:
            cluster.start()


@contextmanager
def full_disk(services: ConversationServices, times: int = 1000) -> Iterator[None]:
    """SQLite's own limit of pages, which tells what a full disk tells; so often."""
    full = count()

    def limit(connection: Any, *_: object) -> None:
        pages = 1 if next(full) < times else 2**30  # 1: as many as there are
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(services.database.engine, "checkout", limit)
    yield
    full = count(times)


async def test_an_end_that_cannot_be_stored_is_told_and_left_for_repair(
    services: ConversationServices, store_url: str, request: pytest.FixtureRequest
) -> None:
    message = "one two three " * 2_000
    turn = await asked(services, message)
    events = turn.events()
    await until_text(events)
    with no_database(request, services, store_url), pytest.raises(TurnFailed) as caught:
        await read(events)
    assert isinstance(caught.value.cause, StorageUnavailable)
    assert [row.status for row in audit.answers(store_url)] == ["generating"]
    assert await services.database.write(endings.fail_abandoned, all_running=True) == 1
    assert [row.status for row in audit.answers(store_url)] == ["failed"]
    audit.require_sound(store_url)


@pytest.mark.usefixtures("fast_beat")
async def test_a_database_that_comes_back_before_the_end_costs_nothing(
    services: ConversationServices, store_url: str, request: pytest.FixtureRequest
) -> None:
    turn = await asked(services, WHOLE)
    events = turn.events()
    await until_text(events)
    with no_database(request, services, store_url):
        await asyncio.sleep(0.2)  # some signs of life that cannot be stored
    *_, last = await read(events)
    assert isinstance(last, End)
    (answer,) = audit.answers(store_url)
    assert (answer.status, answer.content) == ("complete", WHOLE)
    audit.require_sound(store_url)


async def test_a_turn_that_cannot_be_begun_is_no_turn(
    services: ConversationServices, store_url: str, request: pytest.FixtureRequest
) -> None:
    turn = await asked(services, "word " * 10_000)
    with no_database(request, services, store_url), pytest.raises(StorageUnavailable):
        await read(turn.events())
    assert audit.messages(store_url) == []


@pytest.mark.usefixtures("no_beat")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_end_that_is_refused_once_costs_the_status_but_not_the_text(
    services: ConversationServices, store_url: str
) -> None:
    turn = await asked(services, "one two three " * 2_000)
    events = turn.events()
    await until_text(events)
    with pytest.raises(TurnFailed), full_disk(services, times=1):
        await read(events)
    (answer,) = audit.answers(store_url)
    assert (answer.status, answer.content) == ("failed", "one two three " * 2_000)
    assert "disk of the database is full" in str(answer.error)
    audit.require_sound(store_url)
