"""The server as its own process, as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    assert "app.sse" in loaded
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
    environment = dict(os.environ) | {
        "DATABASE_URL": f"sqlite:///{tmp_path}/sllm.db",
        "ENABLE_ECHO": "true",
        "MODELS_DIR": str(empty_models),
    }
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        said = next(line for line in server.stderr if "Uvicorn running on" in line)
        server.terminate()
        rest = server.stderr.read()
    assert "127.0.0.1" in said
    assert "Traceback" not in rest
    assert server.returncode in {0, -15}
