"""A server knows whether it is the only one, however the others ended."""

from __future__ import annotations

import select
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager

import pytest
from sqlalchemy import event

from app.storage.database import Database
from app.storage.pool_size import PoolSize
from app.storage.process_lock import ProcessLock
from tests.postgres import Cluster
from tests.store.databases import connected, process

pytestmark = pytest.mark.slow

_ENTER = """
import sys
from app.storage.database import open_engine, parse_url
from app.storage.process_lock import ProcessLock

def alone():
    print("alone", flush=True)
    input()

presence = ProcessLock(open_engine(parse_url(sys.argv[1])))
presence.acquire(alone)
print("in", flush=True)
input()
"""


@pytest.fixture
def others() -> Iterator[ExitStack]:
    """Ends the processes that a test leaves."""
    with ExitStack() as stack:
        yield stack


@contextmanager
def entering(url: str) -> Iterator[subprocess.Popen[str]]:
    with process(_ENTER, url) as other:
        yield other
        other.kill()


def state_of(other: subprocess.Popen[str]) -> str:
    assert other.stdout
    return other.stdout.readline().strip()


def let_in(other: subprocess.Popen[str]) -> None:
    """Let it go on after it said that it is alone."""
    assert other.stdin
    other.stdin.write("\n")
    other.stdin.flush()
    assert state_of(other) == "in"


def kill(other: subprocess.Popen[str], url: str) -> None:
    """End it as a power cut would; PostgreSQL needs a moment to see that nobody is there."""
    before = _sessions(url)
    other.kill()
    other.wait()
    while url.startswith("postgresql") and _sessions(url) == before:
        time.sleep(0.01)


def _sessions(url: str) -> int:
    if url.startswith("sqlite"):
        return 0
    with connected(url) as connection:
        return int(connection.exec_driver_sql(_SESSIONS).scalar_one())


_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


def test_the_first_is_alone_the_next_are_not_until_all_were_killed(
    database_url: str, others: ExitStack
) -> None:
    first = others.enter_context(entering(database_url))
    assert state_of(first) == "alone"
    let_in(first)
    second = others.enter_context(entering(database_url))
    assert state_of(second) == "in"
    kill(first, database_url)
    third = others.enter_context(entering(database_url))
    assert state_of(third) == "in"
    kill(second, database_url)
    kill(third, database_url)
    assert state_of(others.enter_context(entering(database_url))) == "alone"


def test_who_comes_while_another_is_alone_waits_until_it_has_finished(
    database_url: str, others: ExitStack
) -> None:
    first = others.enter_context(entering(database_url))
    assert state_of(first) == "alone"
    second = others.enter_context(entering(database_url))
    assert second.stdout
    assert not select.select([second.stdout], [], [], 1)[0]
    let_in(first)
    assert state_of(second) == "in"


def test_closing_gives_it_up(database_url: str) -> None:
    with closing(Database(database_url)) as database:
        until_alone(database)
        until_alone(database)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_it_is_kept_when_postgresql_was_restarted(database_url: str, postgres: Cluster) -> None:
    entered: list[str] = []
    with ExitStack() as stack:
        database = stack.enter_context(closing(Database(database_url)))
        first = stack.enter_context(closing(ProcessLock(database.engine)))
        first.acquire(lambda: entered.append("first"))
        first.reacquire()
        postgres.stop()
        first.reacquire()  # in vain
        postgres.start()
        first.reacquire()
        second = stack.enter_context(closing(ProcessLock(database.engine)))
        second.acquire(lambda: entered.append("second"))
    assert entered == ["first"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_closing_gives_it_up_while_another_thread_looks_after_it(database_url: str) -> None:
    looking, may_go_on = threading.Event(), threading.Event()

    def pause(*_: object) -> None:
        looking.set()
        may_go_on.wait(60)

    with closing(Database(database_url)) as database, ThreadPoolExecutor(2) as threads:
        lock = ProcessLock(database.engine)
        lock.acquire(lambda: None)
        event.listen(database.engine, "before_cursor_execute", pause)
        looked = threads.submit(lock.reacquire)
        assert looking.wait(60)
        closed = threads.submit(lock.close)
        wait([closed], timeout=0.5)  # it may wait for the other thread
        may_go_on.set()
        wait([looked, closed])
        event.remove(database.engine, "before_cursor_execute", pause)
        until_alone(database)


def until_alone(database: Database) -> None:
    """Until nobody has the lock: PostgreSQL notices a little later that a connection has ended."""
    entered: list[str] = []
    deadline = time.monotonic() + 60
    while not entered:
        assert time.monotonic() < deadline
        with closing(ProcessLock(database.engine)) as presence:
            presence.acquire(lambda: entered.append("alone"))


def test_it_takes_no_connection_from_those_who_work(database_url: str) -> None:
    with ExitStack() as stack:
        database = stack.enter_context(closing(Database(database_url)))
        stack.enter_context(closing(ProcessLock(database.engine))).acquire(lambda: None)
        for _ in range(PoolSize().readers + PoolSize().writers):
            stack.enter_context(database.engine.connect())
