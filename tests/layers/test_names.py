"""No identifier of ``app`` has a name that was given up for a standard term."""

from __future__ import annotations

import pytest

from tests.layers import names


@pytest.mark.parametrize("folder", sorted(names.folders()))
def test_retired_names_are_gone(folder: str) -> None:
    assert list(names.retired(folder)) == []


def test_every_kind_of_identifier_is_found() -> None:
    source = """
class Sight:
    eyes = 1
    def look(self, told, *, said=0):
        self._sight = [seeing for seeing in told]
        with open(said) as eye, open(said) as file: pass
        try: pass
        except OSError as sight: pass
import a as told
"""
    found = [name for _, name in names.identifiers(source)]
    expected = ["Sight", "eyes", "look", "told", "said", "_sight", "seeing", "eye", "sight"]
    assert set(expected) <= set(found)
