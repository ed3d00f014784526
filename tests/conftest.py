"""A real server on a real socket, in a thread of the test process."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter

from app.config import Settings
from app.main import create_app
from app.storage import migrate
from app.web.bounds import raise_descriptor_limit
from app.web.server import uvicorn_config
from tests.postgres import Cluster, NotInstalled, programs

pytest_plugins = ["tests.selection", "tests.slowing.plugin"]


MODELS = Path(__file__).parents[1] / "models"
"""Those that come with the repository."""
ECHO_WORDS_PER_SECOND = 20_000
"""So a long answer lasts until a test has ended it, however busy the machine is."""
STREAM_PATIENCE_SECONDS = 60
"""So a stream that is refused has an HTTP error, however long it takes."""
os.environ |= {
    "ECHO_WORDS_PER_SECOND": str(ECHO_WORDS_PER_SECOND),
    "STREAM_PATIENCE_SECONDS": str(STREAM_PATIENCE_SECONDS),
}  # of all servers, also of those in processes of their own
ONE_THREAD = 1
"""Threads of one engine wait for each other, long where several tests share the processors."""


@pytest.fixture(scope="session", autouse=True)
def children_hear_signals() -> None:
    """What runs the tests in the background, as nohup, has them and their children ignore some."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # a child does not inherit a handler


def link_models(folder: Path, *names: str) -> None:
    """Put models of the repository into a folder of models."""
    for name in names:
        (folder / name).symlink_to(MODELS / name)


@contextmanager
def serving(
    host: str = "127.0.0.1", routers: Iterable[APIRouter] = (), **chosen: Any
) -> Iterator[httpx.Client]:
    """Run what production runs, with these settings (and routes), and talk to it."""
    given: dict[str, Any] = {
        "enable_echo": True,
        "log_level": "WARNING",
        "engine_threads": ONE_THREAD,
    } | chosen
    with tempfile.TemporaryDirectory() as folder:
        given.setdefault("database_url", f"sqlite:///{folder}/sllm.db")
        with _running(Settings(_env_file=None, **given), host, routers) as client:
            yield client


@contextmanager
def _running(settings: Settings, host: str, routers: Iterable[APIRouter]) -> Iterator[httpx.Client]:
    app = create_app(settings, bounded=True)
    for router in routers:
        app.include_router(router)
    bounds = settings.connections(raise_descriptor_limit())
    options: dict[str, Any] = {"log_config": None, "timeout_graceful_shutdown": 5}
    config = uvicorn_config(app, bounds, host=host, port=0, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{_port(server, thread)}", timeout=60) as it:
            yield it
    finally:
        server.should_exit = True
        thread.join()


def _port(server: uvicorn.Server, thread: threading.Thread) -> int:
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        thread.join(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


@pytest.fixture(scope="session")
def empty_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def echo(empty_models: Path) -> Iterator[httpx.Client]:
    """A server whose only model is ``echo``, open to the largest bodies; leave it as it was."""
    with serving(models_dir=empty_models, max_request_bytes=10**8) as client:
        yield client


NUMBERS = count(1)


def pytest_report_header() -> str:
    try:
        return f"postgresql: {programs()}"
    except NotInstalled as error:
        return f"postgresql: its tests are skipped. {error}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """PostgreSQL for all tests together; without it on the machine they are skipped."""
    try:
        cluster = Cluster()
    except NotInstalled as error:
        pytest.skip(str(error))
    yield cluster
    cluster.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of each kind; ``serving(database_url=database_url)`` makes the tables."""
    yield from _new_database(request)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def shared_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same for all tests of a module, to make one server of: ``serving(database_url=…)``."""
    yield from _new_database(request)


@pytest.fixture
def store_url(database_url: str) -> str:
    """A database of each kind with the newest tables, to use without a server: ``Database(…)``."""
    migrate.prepare(database_url)
    return database_url


def _new_database(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        with cluster.database(f"test_{next(NUMBERS)}") as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/sllm.db"
