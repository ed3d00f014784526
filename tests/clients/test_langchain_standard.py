"""LangChain's own tests of chat models, which every integration of LangChain has to pass."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.clients.environments import SCRIPTS, python_with
from tests.clients.suites import PASSED, SKIPPED, as_text, run_suite

SCRIPT = SCRIPTS / "langchain_standard.py"
ARGUMENTS = [
    "-p",
    "langchain_standard",
    f"--confcutdir={SCRIPTS}",
    "--asyncio-mode=auto",
    "-o",
    "asyncio_default_test_loop_scope=session",  # ChatOpenAI keeps one client for all loops
]


def test_langchain_standard_tests(address: str, tmp_path: Path) -> None:
    asked = {"model": "starter", "content": '"'}
    (mark,) = httpx.post(f"{address}/v1/tokenize", json=asked).json()["tokens"]
    settings = {"ADDRESS": address, "QUOTATION_MARK": str(mark), "PYTHONPATH": str(SCRIPTS)}
    outcomes = run_suite(python_with("langchain"), tmp_path, [*ARGUMENTS, SCRIPT], settings)
    failed = {name: how for name, how in outcomes.items() if how not in {PASSED, SKIPPED}}
    assert not failed, as_text(failed)
    assert sum(how == PASSED for how in outcomes.values()) >= 30
