"""No identifier has a name that was given up for a standard term."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers import names


@pytest.mark.parametrize("folder", sorted(names.folders()))
def test_retired_names_are_gone(folder: str) -> None:
    assert list(names.retired(folder)) == []


@pytest.mark.parametrize("folder", names.AROUND)
def test_names_around_the_app_say_what_they_hold(folder: str) -> None:
    assert list(names.vague(folder)) == []


def test_a_vague_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "ROOT", tmp_path)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "one.py").write_text("retold = 1\n_said = 2\ntold_apart = 'said'\n")
    assert list(names.vague("bench")) == ["bench/one.py:2 _said"]


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
