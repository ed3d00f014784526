"""The programs of docs/python.md run as they stand there."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.test_readme import run

ROOT = Path(__file__).parents[2]
PROGRAM = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = ("python.md", "python.ko.md")
WANTED = {
    'ChatSLLM(model="starter", temperature=0)\n': "'total_tokens'",
    ".stream(": "a",
    "bind_tools": "weather",
    "progressbar": "1000 192",
    "similarity_search": "API_KEYS",
    "list_available_models": "starter",
    "Reversing": "uoy olleh",
    "HuggingFaceLLM": "How do I load a model?",
}
"""What is in a program, and what it prints."""


SLOW = {"HuggingFaceLLM", "progressbar", ".stream("}
"""What is left out of the daily run: other tests show the same in less time."""


def programs(page: str) -> list[str]:
    found: list[str] = PROGRAM.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        pytest.param(*case, marks=pytest.mark.matrix if case[0] in SLOW else ())
        for case in WANTED.items()
    ],
)
def test_a_program(mark: str, wanted: str) -> None:
    (program,) = (each for each in programs(PAGES[0]) if mark in each)
    if "transformers" in program and find_spec("transformers") is None:
        pytest.skip("the extra pytorch is not installed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE_THREADS": "1"}
    assert wanted in run([sys.executable, "-c", program], timeout=120, cwd=ROOT, env=environment)


def test_every_program_is_run_and_in_both_languages() -> None:
    english, korean = map(programs, PAGES)
    assert len(english) == len(WANTED)
    assert korean == english
