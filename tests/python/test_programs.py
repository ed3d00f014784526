"""Engine processes live no longer than the program that started them, however that ends."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.media.files import png

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from app.client.backend import CHAT, backend
shared = backend(None, None, None, 0)
body = {"model": "starter", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
assert shared.post(CHAT, body)["choices"]
url = "data:image/png;base64," + sys.argv[1]
content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What?"}]
asked = {"model": "echo-vision", "messages": [{"role": "user", "content": content}]}
assert shared.post(CHAT, asked)["choices"]
print(shared.pool.health()["starter"].pid, flush=True)
input()
"""


@contextmanager
def program(starters: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A program that has asked once, and its engine process."""
    chosen = {"MODELS_DIR": str(starters), "ENABLE_ECHO": "true", "PYTHONPATH": str(ROOT)}
    picture = base64.b64encode(png()).decode()
    pipe = subprocess.PIPE
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, picture],
        env={**os.environ, **chosen},
        cwd=starters,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )
    with started:
        assert started.stdout
        line = started.stdout.readline()
        assert line, started.communicate()
        yield started, psutil.Process(int(line))


def test_the_end_of_a_program(starters: Path) -> None:
    with program(starters) as (process, engine):
        _, complaints = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert complaints == ""
    engine.wait(60)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.matrix
def test_a_program_that_is_killed(starters: Path) -> None:
    with program(starters) as (process, engine):
        process.send_signal(signal.SIGKILL)
        engine.wait(60)


def test_nothing_is_written_where_the_program_runs(starters: Path, tmp_path: Path) -> None:
    before = sorted(starters.iterdir())
    with program(starters) as (process, _):
        process.communicate("\n", timeout=60)
    assert sorted(starters.iterdir()) == before
