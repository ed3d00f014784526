"""LangChain's own tests of chat models, which every integration of LangChain has to pass."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.clients.environments import SCRIPTS, python_with
from tests.clients.suites import PASSED, SKIPPED, as_text, run_suite

ARGUMENTS = [
    f"--confcutdir={SCRIPTS}",
    "--asyncio-mode=auto",
    "-o",
    "asyncio_default_test_loop_scope=session",  # ChatOpenAI keeps one client for all loops
]


ROOT = Path(__file__).parents[2]
OURS = Path(httpx.__file__).parents[1]
"""The libraries of this project."""


def test_openais_class_with_this_servers_address(address: str, tmp_path: Path) -> None:
    run("langchain_standard", tmp_path, {"ADDRESS": address, "PYTHONPATH": str(SCRIPTS)}, 30)


@pytest.mark.parametrize("where", ["server", "in-process"])
def test_our_own_classes(where: str, address: str, models: Path, tmp_path: Path) -> None:
    paths = f"{SCRIPTS}:{ROOT}:{OURS}"
    settings = {"MODELS_DIR": str(models), "ENGINE_THREADS": "1", "PYTHONPATH": paths}
    settings |= {"ADDRESS": address} if where == "server" else {}
    run("langchain_sllm", tmp_path, settings, 50, address)


def run(script: str, folder: Path, settings: dict[str, str], least: int, address: str = "") -> None:
    """Every test passes or is skipped for a reason that the script gives."""
    address = address or settings["ADDRESS"]
    asked = {"model": "starter", "content": '"'}
    (mark,) = httpx.post(f"{address}/v1/tokenize", json=asked).json()["tokens"]
    arguments: list[str | Path] = ["-p", "langchain_starter", *ARGUMENTS, SCRIPTS / f"{script}.py"]
    settings |= {"QUOTATION_MARK": str(mark)}
    outcomes = run_suite(python_with("langchain"), folder, arguments, settings)
    failed = {name: how for name, how in outcomes.items() if how not in {PASSED, SKIPPED}}
    assert not failed, as_text(failed)
    assert sum(how == PASSED for how in outcomes.values()) >= least
