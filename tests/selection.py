"""Which tests a run takes: the daily selection, ``--fast``, ``--all``, or ``--clients``.

The marks of a test say which runs leave it out:

===============  ===================================================================  =============
mark             what it says of a test                                               left out by
===============  ===================================================================  =============
``matrix``       it shows on a further database, engine or number of rounds what       daily, --fast
                 another test shows, which the daily run takes
``slow``         it takes seconds                                                      --fast
``engine(name)``  it runs an engine other than echo and GGUF                           --fast
``postgresql``   it runs on PostgreSQL                                                 --fast
===============  ===================================================================  =============

``engine`` and ``postgresql`` are set here, by what a test is parametrised with and by the name of
its module. A test of ``tests/http`` on PostgreSQL is ``matrix`` as well, unless its module is
marked ``sql_differs``: the statements themselves are tested in ``tests/store``. There it is one
only where its module is marked ``sql_is_alike``.

``tests/clients`` is what ``--clients`` takes, and nothing else takes it. A test that is named on
the command line, with ``::``, runs in any case.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
OTHER_ENGINES = ("onnx", "mlx", "pytorch", "hyperclovax")
LEFT_OUT = {
    "daily": {"matrix"},
    "fast": {"matrix", "slow", "engine", "postgresql"},
    "all": set[str](),
    "clients": set[str](),
}
EXAMPLES = {"daily": 1, "fast": 1, "all": 60, "clients": 1}
"""Requests that are made up for each operation of an API."""
MARKS = (
    "matrix: shows on a further database, engine or number of rounds what another test shows",
    "slow: takes seconds",
    "engine(name): runs an engine other than echo and GGUF",
    "postgresql: runs on PostgreSQL",
    "sql_differs: this module of the HTTP tests runs on PostgreSQL every day",
    "sql_is_alike: this module runs on PostgreSQL only with --all",
)


def matrix(*values: Any) -> list[Any]:
    """Parameters, or tuples of them, that only ``--all`` takes."""
    sets = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*each, marks=pytest.mark.matrix) for each in sets]


on_sqlite_daily = pytest.mark.parametrize(
    "database_url", ["sqlite", *matrix("postgresql")], indirect=True
)
"""For what takes seconds and does the same on both databases."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("selection", "which tests run (tests/selection.py)")
    for name, meaning in {
        "fast": "the engines echo and GGUF, on SQLite, without what takes seconds",
        "all": "the whole matrix",
        "clients": "clients and test suites of others, in environments of their own",
    }.items():
        group.addoption(
            f"--{name}", dest="selection", action="store_const", const=name, help=meaning
        )


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    settings.register_profile("selection", max_examples=EXAMPLES[selection(config)])
    settings.load_profile("selection")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is made for the tests is kept until the end: looking for garbage in it is in vain."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_report_header(config: pytest.Config) -> str:
    return f"selection: {selection(config)} (tests/selection.py says what that is)"


def selection(config: pytest.Config) -> str:
    """The name of the selection that this run takes."""
    chosen: str | None = config.getoption("selection")
    return chosen or "daily"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Modules of which nothing is taken are not even read: importing torch takes seconds."""
    if any("::" in argument for argument in config.args):
        return None
    chosen = selection(config)
    of_clients = collection_path == ROOT / "clients" and chosen != "clients"
    of_engine = any(f"_{engine}" in collection_path.stem for engine in OTHER_ENGINES)
    return of_clients or (of_engine and "engine" in LEFT_OUT[chosen]) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in marks_of(item):
            item.add_marker(mark)
    if any("::" in argument for argument in config.args):
        return
    chosen = selection(config)
    kept = [item for item in items if taken(item, chosen)]
    config.hook.pytest_deselected(items=[item for item in items if not taken(item, chosen)])
    items[:] = kept


def taken(item: pytest.Item, chosen: str) -> bool:
    """Whether that selection takes the test."""
    if (place(item).parts[0] == "clients") != (chosen == "clients"):
        return False
    return not any(item.get_closest_marker(mark) for mark in LEFT_OUT[chosen])


def marks_of(item: pytest.Item) -> Iterator[pytest.MarkDecorator]:
    """The marks that follow from a test's parameters and from its place."""
    known = parameters(item)
    for engine in OTHER_ENGINES:
        if engine in known or f"_{engine}" in place(item).stem:
            yield pytest.mark.engine(engine)
    if "postgresql" in known or "postgres" in getattr(item, "fixturenames", ()):
        yield pytest.mark.postgresql
        over_http = place(item).parts[0] == "http" and not item.get_closest_marker("sql_differs")
        if over_http or item.get_closest_marker("sql_is_alike"):
            yield pytest.mark.matrix


def parameters(item: pytest.Item) -> set[str]:
    """Its parameters that are words; a variant of an engine, like ``onnx-paged``, is the engine."""
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    return {value.partition("-")[0] for value in values if isinstance(value, str)}


def place(item: pytest.Item) -> Path:
    """Where its module lies, below ``tests``."""
    return _place(item.path)


@cache
def _place(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
