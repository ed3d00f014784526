"""The programs of docs/python.md run as they stand there."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import pytest

from tests.docs.pages import ROOT, blocks
from tests.docs.test_readme import run

PAGES = ("docs/python.md", "docs/python.ko.md")
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


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        pytest.param(*case, marks=pytest.mark.matrix if case[0] in SLOW else ())
        for case in WANTED.items()
    ],
)
def test_a_program(mark: str, wanted: str) -> None:
    (program,) = (each for each in blocks(PAGES[0], "python") if mark in each)
    if "transformers" in program and find_spec("transformers") is None:
        pytest.skip("the extra pytorch is not installed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE_THREADS": "1"}
    assert wanted in run([sys.executable, "-c", program], timeout=120, cwd=ROOT, env=environment)


def test_every_program_is_run_and_in_both_languages() -> None:
    english, korean = (blocks(page, "python") for page in PAGES)
    assert len(english) == len(WANTED)
    assert korean == english
