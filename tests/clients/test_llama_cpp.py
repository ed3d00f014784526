"""llama.cpp's own server tests for the shapes of chats and messages, out of llama-cpp-python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.environments import SCRIPTS, python_with, sources_of
from tests.clients.suites import PASSED, SKIPPED, as_text, run_suite
from tests.conftest import ONE_THREAD, serving

VERSION = "0.3.36"
FOLDER = "vendor/llama.cpp/tools/server/tests"
MODULES = ("test_chat_completion", "test_compat_anthropic", "test_tool_call")
ALIASES = ("test", "gpt-3.5-turbo-instruct", "codellama70b")
"""What those tests call their model."""
SETTINGS: dict[str, Any] = {"enable_echo": False, "engine_threads": ONE_THREAD}
STARTER = Path(__file__).parents[2] / "models" / "starter.gguf"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """With one model, which has the name that they start their server with."""
    models = tmp_path_factory.mktemp("models")
    (models / "llama-test-model.gguf").symlink_to(STARTER)
    aliases = dict.fromkeys(ALIASES, "llama-test-model")
    with serving(models_dir=models, model_aliases=aliases, **SETTINGS) as client:
        yield client


def test_llama_cpp_server_tests(server: httpx.Client, tmp_path: Path) -> None:
    folder = sources_of("llama-cpp-python", VERSION, FOLDER)
    settings = {
        "DEBUG_EXTERNAL": "1",  # use the server that is there
        "PORT": str(server.base_url.port),
        "PYTHONPATH": str(SCRIPTS),
    }
    arguments = ["-p", "llama_cpp_portable", f"--basetemp={tmp_path}"]
    paths = [folder / "unit" / f"{module}.py" for module in MODULES]
    outcomes = run_suite(python_with("llama_cpp"), folder, [*arguments, *paths], settings)
    failed = {name: how for name, how in outcomes.items() if how not in {PASSED, SKIPPED}}
    assert not failed, as_text(failed)
    assert sum(how == PASSED for how in outcomes.values()) >= 50
