"""A folder for every idea: few loose modules, and none that nobody reads in one go."""

from __future__ import annotations

import pytest

from tests.layers.imports import APP

MOST_LOOSE = 6
LONGEST = 300
"""Lines of a module."""


@pytest.mark.parametrize("folder", [".", "provider"])
def test_few_modules_lie_loose(folder: str) -> None:
    loose = {path.name for path in (APP / folder).glob("*.py")} - {"__init__.py"}
    assert len(loose) <= MOST_LOOSE, sorted(loose)


def test_no_module_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in APP.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}
