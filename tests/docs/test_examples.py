"""The programs and requests of examples/ run as they stand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ONE_THREAD, link_models, serving
from tests.docs.test_readme import run

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
TOOL = "/tool/generate_hyperclovax_vision"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The default vision model of the default installation."""
    folder = tmp_path_factory.mktemp("models")
    link_models(folder, "starter-vision.gguf", "mmproj-starter-vision.gguf")
    with serving(models_dir=folder, enable_echo=False, engine_threads=ONE_THREAD) as client:
        yield client


@pytest.mark.parametrize(
    "request_file", sorted(EXAMPLES.glob("requests/*.json")), ids=lambda p: p.stem
)
def test_a_request(request_file: Path, server: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    answer = server.post(TOOL, content=request_file.read_bytes(), headers=headers)
    assert answer.status_code == 200
    about_the_picture = request_file.stem in {"image", "data-url"}
    assert ("red circle" in answer.text) is about_the_picture


def output_of(name: str, server: httpx.Client, *arguments: str) -> str:
    program = (EXAMPLES / name).read_text(encoding="utf-8")
    address = str(server.base_url).rstrip("/")
    program = program.replace("http://127.0.0.1:8000", address)
    program = program.replace("Path(__file__).parent", f"Path({str(EXAMPLES)!r})")
    return run([sys.executable, "-c", program, *arguments])


def test_all_modes(server: httpx.Client) -> None:
    output = output_of("test_call_all_modes.py", server, str(server.base_url))
    assert output.count("red circle") == 3
    assert "event: done" in output


def test_one_question(server: httpx.Client) -> None:
    assert len(output_of("test_call_localhost.py", server)) > 10


def test_the_model_context_protocol(server: httpx.Client) -> None:
    output = output_of("test_call_mcp.py", server, str(server.base_url))
    assert "tools: generate_hyperclovax_vision, chat" in output
    assert "image.json:" in output
    assert output.count("red circle") == 1
    assert "models: starter-vision" in output


def test_inside_a_container(server: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", str(server.base_url.port))
    output = run([sys.executable, str(EXAMPLES / "test_in_container.py")])
    assert "healthy: ok" in output
    assert "starter-vision: " in output
