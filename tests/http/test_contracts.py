from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

import pytest

from app.dialects.documents import documents
from app.reference import export

pytestmark = pytest.mark.slow

DOCUMENTS = documents()
EXPORTED = Path(export.__file__).parents[2] / "api_docs"
NAMES = [*(f"{name}.json" for name in DOCUMENTS), "index.html"]


@cache
def contents() -> dict[str, str]:
    """What an export would write now: seconds of work, for all tests and only when they run."""
    return export.contents(DOCUMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_the_export_is_fresh(name: str) -> None:
    on_disk = (EXPORTED / name).read_text(encoding="utf-8")
    assert on_disk == contents()[name], "run ./run.sh docs"


def released() -> dict[str, str]:
    lines = (EXPORTED / "released.sha256").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


@pytest.mark.parametrize("name", released())
def test_a_released_version_never_changes(name: str) -> None:
    now = hashlib.sha256(contents()[name].encode()).hexdigest()
    assert now == released()[name], "a released version is frozen: make a new one"


def test_v1_and_v2_are_released() -> None:
    assert {"v1.json", "v2.json"} <= released().keys()


def test_export_writes_what_it_returns(tmp_path: Path) -> None:
    written = export.export(tmp_path / "new", DOCUMENTS)
    assert [path.name for path in written] == NAMES
    assert all(path.read_text(encoding="utf-8") for path in written)


def test_the_page_reads_offline() -> None:
    page = contents()["index.html"]
    assert "<script" not in page
    assert re.findall(r"""(?:src|href)=["'](?!#)""", page) == []
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))
