"""The files of encoders in a repository: ONNX exports, and modules of sentence-transformers.

An export lies in ``onnx/`` or beside its ``config.json``, mostly in several variants of which one
is a whole model; text and images have a graph each. Modules are folders such as ``1_Pooling``
beside ``modules.json``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.provider.encoding.folders.graphs import GRAPH_NAME, SUFFIX
from app.provider.hub.plan import HubFile

Folders = Mapping[str, Sequence[HubFile]]
"""The files of a repository by the folder that they lie in; ``.`` is the top."""

_MODULES = "modules.json"
_MODULE = re.compile(r"\d+_\w+")
_OF_CHAT_MODELS = {"genai_config.json", "generation_config.json"}


@dataclass(frozen=True, slots=True)
class OnnxExport:
    """One variant of an export: its graphs with their weights, below the folder ``root``."""

    root: str
    variant: str
    graphs: tuple[HubFile, ...]


def module_folders(folders: Folders, root: str) -> list[str]:
    """Folders of the modules that ``root`` lists; none where it has no ``modules.json``."""
    if _MODULES not in _names(folders.get(root, ())):
        return []
    inside = (path for path in map(PurePosixPath, folders) if str(path.parent) == root)
    return sorted(str(path) for path in inside if _MODULE.fullmatch(path.name))


def onnx_exports(folders: Folders) -> Iterator[OnnxExport]:
    """Every variant of every export in the repository, by folder and name."""
    for folder, files in sorted(folders.items()):
        root = _root(folders, folder)
        if root is not None:
            for variant, graphs in sorted(_variants(files).items()):
                yield OnnxExport(root, variant, graphs)


def _root(folders: Folders, folder: str) -> str | None:
    """The folder of the model whose graphs are in ``folder``; None where these are no encoder's."""
    path = PurePosixPath(folder)
    for root in [str(path.parent)] * (path.name == "onnx") + [folder]:
        names = _names(folders.get(root, ()))
        if "config.json" in names:
            return None if names & _OF_CHAT_MODELS else root
    return None


def _names(files: Sequence[HubFile]) -> set[str]:
    return {PurePosixPath(file.path).name for file in files}


def _variants(files: Sequence[HubFile]) -> dict[str, tuple[HubFile, ...]]:
    """The graphs of each variant, with the files that hold their weights."""
    parts: defaultdict[str, dict[str, HubFile]] = defaultdict(dict)
    for file in files:
        path = PurePosixPath(file.path)
        if path.suffix == SUFFIX and (found := GRAPH_NAME.fullmatch(path.stem)):
            parts[found[2]][found[1]] = file
    whole = {variant: _graphs(some) for variant, some in parts.items()}
    return {
        variant: tuple(one for graph in graphs for one in _with_weights(graph, files))
        for variant, graphs in whole.items()
        if graphs
    }


def _graphs(parts: Mapping[str, HubFile]) -> list[HubFile]:
    """A graph for texts and one for images, rather than the one that always computes both."""
    if "text_model" in parts and "vision_model" in parts:
        return [parts["text_model"], parts["vision_model"]]
    alone = parts.get("model") or parts.get("vision_model")
    return [alone] if alone else []


def _with_weights(graph: HubFile, files: Sequence[HubFile]) -> Iterator[HubFile]:
    """The graph, and the files beside it that exporters name after it."""
    yield graph
    names = (f"{graph.path}_", f"{graph.path}.")
    yield from (file for file in files if file.path.startswith(names))
