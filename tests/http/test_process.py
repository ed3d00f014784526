"""The server as its own process, as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.http import wire
from tests.selection import matrix

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

SCRIPT = """
import asyncio, json, sys
from app.config import Settings
from app.main import create_app

async def chat(app):
    async with app.router.lifespan_context(app) as state:
        sent = []
        body = json.dumps({"message": "hi"}).encode()
        bodies = iter([{"type": "http.request", "body": body}])
        async def receive():
            return next(bodies, None) or await asyncio.Event().wait()
        async def send(message):
            sent.append(message)
        scope = {
            "type": "http", "method": "POST", "path": "/api/v1/chat", "raw_path": b"",
            "query_string": b"", "root_path": "", "server": ("127.0.0.1", 8000),
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "state": dict(state),
        }
        await app(scope, receive, send)
        assert sent[0]["status"] == 200, sent
asyncio.run(chat(create_app(Settings(_env_file=None, enable_echo=True, models_dir=sys.argv[1]))))
print(" ".join(sys.modules))
"""

HEAVY = {
    "PIL",
    "huggingface_hub",
    "llama_cpp",
    "mlx",
    "numpy",
    "onnxruntime",
    "prometheus_client",
    "pynvml",
    "tokenizers",
    "torch",
    "transformers",
}


def test_no_engine_library_comes_into_the_server(empty_models: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(empty_models)],
        cwd=ROOT,
        env=dict(os.environ) | {"DATABASE_URL": f"sqlite:///{tmp_path}/sllm.db"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert "app.web.sse" in loaded
    assert loaded & HEAVY == set()


def test_importing_the_application_makes_none() -> None:
    probe = (
        "import app.main, fastapi\n"
        "print([v for v in vars(app.main).values() if isinstance(v, fastapi.FastAPI)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_uvicorn_starts_the_factory(empty_models: Path, tmp_path: Path) -> None:
    """What the README says: ``uvicorn app.main:create_app --factory``."""
    command = [sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=settings(empty_models, tmp_path), stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        output = ""
        while "Uvicorn running on" not in output:
            output += server.stderr.readline()
            assert server.poll() is None, output
        server.terminate()
        rest = server.stderr.read()
    assert "127.0.0.1" in output
    assert "MAX_HEADER_BYTES, HEADER_TIMEOUT_SECONDS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS" in output
    assert "Traceback" not in rest
    assert server.returncode in {0, -15}


def settings(models: Path, folder: Path) -> dict[str, str]:
    return dict(os.environ) | {
        "DATABASE_URL": f"sqlite:///{folder}/sllm.db",
        "ENABLE_ECHO": "true",
        "MODELS_DIR": str(models),
        "PORT": "0",
    }


@contextmanager
def served(models: Path, folder: Path, soft: int, hard: int) -> Iterator[tuple[httpx.Client, Path]]:
    """A process that may open so many files, and its log."""
    log = folder / "log"
    limited = f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}))"
    script = f"{limited}; from app.cli.serve import main; main()"
    with (
        log.open("w") as log_file,
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=settings(models, folder),
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        ) as server,
    ):
        assert server.stdout is not None
        try:
            lines = iter(server.stdout.readline, "")
            address = next(line.split()[-1] for line in lines if "Start here" in line)
            while "is ready" not in server.stdout.readline():
                assert server.poll() is None
            with httpx.Client(base_url=address, timeout=60) as client:
                yield client, log
        finally:
            server.kill()


@pytest.mark.parametrize(("soft", "hard", "most"), [(128, 512, 448), *matrix((256, 256, 192))])
def test_idle_sockets_lock_nobody_out(
    empty_models: Path, tmp_path: Path, soft: int, hard: int, most: int
) -> None:
    """300 of them did, at 256 descriptors."""
    with ExitStack() as stack:
        client, log = stack.enter_context(served(empty_models, tmp_path, soft, hard))
        for _ in range(hard + 50):
            stack.enter_context(wire.connected(client))
        assert client.get("/health").status_code == 200
        assert client.post("/api/v4/chat", json={"message": "hi"}).status_code == 200
        assert f"{most} connections may be open" in log.read_text()
        assert "Traceback" not in log.read_text()
