"""What a start loads: what its first healthy answer needs, and not what requests need later."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import uvicorn

from app.cli.serve import Terminal
from app.cli.serving.server import Server
from app.config import Settings
from app.main import create_app
from app.storage import migrate
from tests.setup.project import ROOT

LATER = {
    "PIL",
    "alembic",
    "app.conversations.services",
    "app.conversations.store.search",
    "app.conversations.store.tree",
    "app.dependencies",
    "app.downloads.jobs",
    "app.lifespan.services",
    "app.cli.serving.supervisor",
    "app.media.decode",
    "app.media.exchange",
    "app.media.fetch",
    "app.media.intake",
    "app.monitoring.group_figures",
    "app.monitoring.prometheus",
    "app.openai",
    "app.monitoring.snapshot",
    "app.model_server.shared_runtime",
    "app.provider.hub.download",
    "app.provider.hub.huggingface",
    "app.provider.hub.modelscope",
    "app.provider.hub.plan",
    "app.provider.model_server.protocol",
    "app.provider.runtime.messages",
    "app.storage.tables",
    "app.templates.language",
    "app.v1",
    "app.v5",
    "app.v6",
    "app.versions",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "jinja2",
    "mako",
    "numpy",
    "llguidance",
    "onnxruntime",
    "prometheus_client",
    "psutil",
    "psycopg",
    "pydantic.v1",
    "sqlalchemy.dialects.postgresql",
    "typer",
}
"""Modules with work that comes later: in an upgrade, a request, an engine process, a command."""

HEALTHY = """
import asyncio, sys
from app import main
from app.lifespan import after_start

after_start.HEAD_START_SECONDS = 600  # nothing is loaded meanwhile

async def health():
    sent = []
    async def receive(): return {"type": "http.request", "body": b""}
    async def send(message): sent.append(message)
    app = main.create_app()
    async with app.router.lifespan_context(app) as state:
        await app(
            {"type": "http", "method": "GET", "path": "/health", "raw_path": b"/health",
             "query_string": b"", "headers": [(b"host", b"localhost")], "state": dict(state)},
            receive, send,
        )
        assert sent[0]["status"] == 200, sent
        print(*sys.modules)

asyncio.run(health())
"""


def loaded(program: str, folder: Path) -> set[str]:
    """The modules that a program has imported in the end, by its own account."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODELS_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_healthy_start_loads_nothing_that_only_requests_need(tmp_path: Path) -> None:
    migrate.prepare(f"sqlite:///{tmp_path}/sllm.db")
    assert loaded(HEALTHY, tmp_path) & LATER == set()


def test_what_is_loaded_later_exists_under_that_name(tmp_path: Path) -> None:
    """Otherwise a module that is renamed would be missed by the test above."""
    own = {name for name in LATER if name.startswith("app.")}
    assert loaded(f"import sys, {', '.join(sorted(own))}; print(*sys.modules)", tmp_path) >= own


async def test_a_server_that_ends_at_once_first_finishes_its_start(tmp_path: Path) -> None:
    app = create_app(Settings(models_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/sllm.db"))
    async with app.router.lifespan_context(app) as state:
        assert state
        loading = state["after_start"].loading
        assert not loading.done()
    assert set(loading.result()) >= {"services", "downloads"}
    with (tmp_path / "sllm.db-lock").open("ab") as lock:  # which the services held
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_version_that_cannot_be_loaded_ends_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)  # this process has more than a server's modules
    server = Server(uvicorn.Config("no:app"), 1, Terminal("http://here"))
    broken = RuntimeError("a version is broken")
    await server.settle(asyncio.create_task(failing(broken)))
    assert server.should_exit
    assert server.failure is broken


async def failing(error: Exception) -> None:
    raise error
