"""Reads the graphs of a folder and checks that the files with their weights are whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from app.provider.catalogue.folder import incomplete
from app.provider.headers.content import BEGINNING
from app.provider.headers.files import fault, why_missing
from app.provider.headers.onnx_graph import Graph, read_graph


class IncompleteGraph(Exception):
    """A graph cannot be loaded; ``str()`` is the problem."""


def read_graphs(folder: Path, names: Iterable[str]) -> dict[str, Graph]:
    """The graphs by their names relative to the folder; raises IncompleteGraph and OSError."""
    return {name: _graph(folder, name) for name in names}


def _graph(folder: Path, name: str) -> Graph:
    try:
        return read_graph(_inside(folder, name))
    except FileNotFoundError as error:
        raise IncompleteGraph(incomplete(f"{name} {why_missing(folder / name)}")) from error
    except ValueError as error:
        raise IncompleteGraph(incomplete(f"{name} {fault(folder / name)}")) from error


def size_of(folder: Path, graphs: Mapping[str, Graph]) -> int:
    """Bytes of all graphs and of the files beside them that hold their weights.

    Raises IncompleteGraph for a file that is missing or cut off.
    """
    needed: dict[str, int] = dict.fromkeys(graphs, 0)
    for name, graph in graphs.items():
        try:
            lengths = graph.external_bytes()
        except ValueError as error:
            raise IncompleteGraph(incomplete(f"{name} is damaged or cut off")) from error
        needed |= {str(PurePath(name).parent / file): length for file, length in lengths.items()}
    return sum(_whole_size(folder, name, length) for name, length in needed.items())


def _whole_size(folder: Path, name: str, length: int) -> int:
    try:
        size = _inside(folder, name).stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IncompleteGraph(incomplete(f"{name} {why_missing(folder / name)}")) from error
    except ValueError as error:
        raise IncompleteGraph(incomplete(f"{name} is missing")) from error
    if size < length:
        other = fault(folder / name) if size < BEGINNING else "is cut off"
        raise IncompleteGraph(incomplete(f"{name} {other}"))
    return size


def _inside(folder: Path, name: str) -> Path:
    """The path of a file in the folder; raises IncompleteGraph for one that leaves the folder."""
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise IncompleteGraph("It names files outside its folder.")
    return folder / name
