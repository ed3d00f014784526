"""LangChain's own tests of chat models, which every integration of LangChain has to pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.environments import SCRIPTS, python_with
from tests.clients.suites import PASSED, SKIPPED, as_text, run_suite
from tests.conftest import serving
from tests.provider.real_models import SMOLLM2, real_model

STARTER = Path(__file__).parents[2] / "models" / "starter.gguf"
SCRIPT = SCRIPTS / "langchain_standard.py"
ARGUMENTS = [
    "-p",
    "langchain_standard",
    f"--confcutdir={SCRIPTS}",
    "--asyncio-mode=auto",
    "-o",
    "asyncio_default_test_loop_scope=session",  # ChatOpenAI keeps one client for all loops
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the server is and which model to ask; it has another one to change to."""
    models = tmp_path_factory.mktemp("models")
    for file in (real_model(SMOLLM2), STARTER):
        (models / file.name).symlink_to(file)
    with serving(models_dir=models, context_length=2048) as client:
        address = str(client.base_url).rstrip("/")
        yield {"ADDRESS": address, "MODEL": real_model(SMOLLM2).stem, "PYTHONPATH": str(SCRIPTS)}


def test_langchain_standard_tests(settings: dict[str, str], tmp_path: Path) -> None:
    outcomes = run_suite(python_with("langchain"), tmp_path, [*ARGUMENTS, SCRIPT], settings)
    failed = {name: how for name, how in outcomes.items() if how not in {PASSED, SKIPPED}}
    assert not failed, as_text(failed)
    assert sum(how == PASSED for how in outcomes.values()) >= 30
