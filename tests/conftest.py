"""A real server on a real socket, in a thread of the test process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter

from app.config import Settings
from app.main import create_app


@contextmanager
def serving(
    host: str = "127.0.0.1", routers: Iterable[APIRouter] = (), **chosen: Any
) -> Iterator[httpx.Client]:
    """Run what production runs, with these settings (and routes), and talk to it."""
    given: dict[str, Any] = {"enable_echo": True, "log_level": "WARNING"} | chosen
    settings = Settings(_env_file=None, **given)
    app = create_app(settings)
    for router in routers:
        app.include_router(router)
    config = uvicorn.Config(
        app,
        host=host,
        port=0,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
    )
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
