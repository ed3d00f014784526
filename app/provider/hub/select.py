"""Finds the models in a repository, and the one that a name means.

A model is a GGUF file, a GGUF cut into parts, a folder that onnxruntime-genai built, a variant of
an encoder's ONNX export, or a folder of safetensors with their configuration (MLX, Hugging Face,
sentence-transformers). A GGUF vision model comes with the "mmproj" file that fits it best, in a
folder of its own. Only data is taken: no Python, no pickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.provider.engines.gguf.mmproj import MARK, rank
from app.provider.hub.encoder_files import Folders, OnnxExport, module_folders, onnx_exports
from app.provider.hub.errors import NotOnHub
from app.provider.hub.plan import HubFile, Listing, Plan

_PART = re.compile(r"(?P<base>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")
_TEXTS = {".json", ".jinja", ".txt", ".model", ".tiktoken"}
_WEIGHTS_OF_ONNX = {".onnx", ".data", ".onnx_data"}
_LICENCE_FILES = ("LICENSE", "LICENCE", "NOTICE", "README.md")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model in a repository. ``path`` names it: a file, or a folder with ``.`` for the top.

    ``export``: it is the plain ONNX export of an encoder; ``variant`` names another one.
    """

    path: str
    kind: str
    files: tuple[HubFile, ...]
    folder: bool
    name: str
    root: str
    export: bool = False
    variant: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def choose(listing: Listing, wanted: str) -> Plan:
    """Find the model by its path, by a part of it that fits only one, or as the only one there is.

    Raises NotOnHub, naming what there is.
    """
    found = list(_candidates(listing, wanted))
    chosen = _only(found, wanted)
    if chosen is None:
        raise NotOnHub(_choices(listing, found, wanted))
    return Plan(
        hub=listing.hub,
        repo=listing.repo,
        revision=listing.revision,
        licence=listing.licence,
        path=chosen.path,
        name=chosen.name,
        folder=chosen.folder,
        root=chosen.root,
        files=chosen.files,
    )


def _only(found: Sequence[Candidate], wanted: str) -> Candidate | None:
    exact = [one for one in found if one.path == wanted]
    inside = [one for one in found if wanted in {file.path for file in one.files}]
    near = [one for one in found if wanted.lower() in one.path.lower() or not wanted]
    for some in (exact, inside, near, _preferred(near)):
        if len(some) == 1:
            return some[0]
    return None


def _preferred(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates without those that an encoder's plain ONNX export stands for as well.

    These are its variants and, because every installation computes ONNX, its safetensors.
    """
    exported = {one.root for one in found if one.export}
    return [
        one
        for one in found
        if one.export or not (one.root in exported and (one.variant or one.kind == "safetensors"))
    ]


def _choices(listing: Listing, found: Sequence[Candidate], wanted: str) -> str:
    repo = listing.reference
    if not found:
        return f"{repo} has no GGUF file, and no folder for ONNX or of safetensors, that is whole."
    some = f"Nothing in {repo} is called {wanted!r}." if wanted else f"{repo} has several models."
    names = "".join(
        f"\n  {repo}:{one.path}  ({one.kind}, {one.size / 1e6:,.0f} MB)" for one in found
    )
    return f"{some} Name one of:{names}"


def _candidates(listing: Listing, wanted: str) -> Iterator[Candidate]:
    yield from _single_gguf(listing, wanted)
    yield from _split_gguf(listing)
    folders = _folders(listing)
    modules = {folder: module_folders(folders, folder) for folder in folders}
    inside = {module for some in modules.values() for module in some}
    for folder in sorted(folders.keys() - inside):
        parts = [folders[one] for one in (folder, *modules[folder])]
        if kind := _kind([file for files in parts for file in files]):
            taken = tuple(
                _onnx_files(listing, folder)
                if kind == "ONNX"
                else (file for files in parts for file in _safetensors_files(files))
            )
            yield Candidate(folder, kind, taken, True, _folder_name(listing.repo, folder), folder)
    for export in onnx_exports(folders):
        yield _encoder(listing, folders, export, modules[export.root])


def _encoder(
    listing: Listing, folders: Folders, export: OnnxExport, modules: Sequence[str]
) -> Candidate:
    """One variant of an ONNX export, with all that its folder says of the model."""
    texts = [file for file in folders[export.root] if _is_text(PurePosixPath(file.path))]
    parts = [file for module in modules for file in _safetensors_files(folders[module])]
    graphs = [file for file in export.graphs if file not in texts]
    return Candidate(
        path=export.graphs[0].path,
        kind="ONNX",
        files=(*texts, *parts, *graphs),
        folder=True,
        name=_folder_name(listing.repo, export.root) + export.variant.replace("_", "-"),
        root=export.root,
        export=not export.variant,
        variant=export.variant,
    )


def _single_gguf(listing: Listing, wanted: str) -> Iterator[Candidate]:
    """Models of one file, with their mmproj file; such a file itself only by its whole path."""
    for file in listing.files:
        path = PurePosixPath(file.path)
        if path.suffix != ".gguf" or _PART.match(file.path):
            continue
        if MARK in path.name and file.path != wanted:
            continue
        mmprojs = _mmproj_for(listing, path)
        name = path.stem if mmprojs else path.name
        yield Candidate(file.path, "GGUF", (file, *mmprojs), bool(mmprojs), name, str(path.parent))


def _mmproj_for(listing: Listing, model: PurePosixPath) -> tuple[HubFile, ...]:
    """The mmproj file that fits a model best: beside it, else at the top of the repository."""
    if MARK in model.name:
        return ()
    for folder in (model.parent, PurePosixPath(".")):
        mmprojs = [file for file in listing.files if _is_mmproj(PurePosixPath(file.path), folder)]
        if mmprojs:
            return (
                min(mmprojs, key=lambda mmproj: rank(PurePosixPath(mmproj.path).name, model.name)),
            )
    return ()


def _is_mmproj(path: PurePosixPath, folder: PurePosixPath) -> bool:
    return path.parent == folder and path.suffix == ".gguf" and MARK in path.name


def _split_gguf(listing: Listing) -> Iterator[Candidate]:
    """Models of several files, if all parts are there."""
    models: dict[tuple[str, int], list[HubFile]] = {}
    for file in listing.files:
        if part := _PART.match(file.path):
            models.setdefault((part["base"], int(part["count"])), []).append(file)
    for (base, count), files in models.items():
        if len(files) == count:
            path = PurePosixPath(base)
            all_files = (*files, *_mmproj_for(listing, path))
            yield Candidate(files[0].path, "GGUF", all_files, True, path.name, str(path.parent))


def _folders(listing: Listing) -> dict[str, list[HubFile]]:
    found: dict[str, list[HubFile]] = {}
    for file in listing.files:
        found.setdefault(str(PurePosixPath(file.path).parent), []).append(file)
    return found


def _kind(files: Sequence[HubFile]) -> str:
    """The kind of model that these files of a folder make; empty: none."""
    names = {PurePosixPath(file.path).name for file in files}
    if "genai_config.json" in names and any(name.endswith(".onnx") for name in names):
        return "ONNX"
    if "config.json" in names and any(name.endswith(".safetensors") for name in names):
        return "safetensors"
    return ""


def _onnx_files(listing: Listing, folder: str) -> Iterator[HubFile]:
    """Files of the folder and the folders below it, as a model may keep its parts there."""
    for file in listing.files:
        path = PurePosixPath(file.path)
        inside = folder == "." or path.is_relative_to(folder)
        # Some builders write model.onnx.data, others model.onnx_data_1.
        weights = path.suffix in _WEIGHTS_OF_ONNX or ".onnx_data" in path.name
        if inside and (weights or _is_text(path)):
            yield file


def _safetensors_files(files: Sequence[HubFile]) -> Iterator[HubFile]:
    """Files of the folder; of weights that it holds twice, those with the usual name."""
    paths = [PurePosixPath(file.path) for file in files]
    usual = any(path.match("model*.safetensors") for path in paths)
    for file, path in zip(files, paths, strict=True):
        weights = path.match("model*.safetensors" if usual else "*.safetensors")
        if weights or _is_text(path):
            yield file


def _is_text(path: PurePosixPath) -> bool:
    return path.suffix in _TEXTS or path.name.startswith(_LICENCE_FILES)


def _folder_name(repo: str, folder: str) -> str:
    name = repo.rpartition("/")[2]
    return name if folder == "." else f"{name}-{folder.replace('/', '-')}"
