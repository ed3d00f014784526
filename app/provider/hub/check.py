"""Checks files against what a hub announced."""

from __future__ import annotations

import hashlib
from pathlib import Path

from app.provider.hub.plan import HubFile, Plan

_BLOCK = 2**20


def matches_plan(target: Path, plan: Plan) -> bool:
    """Whether the model at ``target`` has the sizes and checksums of this plan."""
    return sizes_match(target, plan) and all(
        is_intact(file_path(target, plan, file), file) for file in plan.files
    )


def sizes_match(target: Path, plan: Plan) -> bool:
    """Whether every file of the plan is there and has its size."""
    paths = [(file_path(target, plan, file), file.size) for file in plan.files]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def file_path(model: Path, plan: Plan, file: HubFile) -> Path:
    """The path of a file of the plan, below or at the path of the model."""
    return model / plan.within(file) if plan.folder else model


def is_intact(path: Path, file: HubFile) -> bool:
    """Whether size and checksum are right."""
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return _digest(path, "sha256") == file.sha256
    # Small files are not in LFS. Git names them by a checksum of their content.
    return not file.git_id or _digest(path, "sha1", b"blob %d\0" % file.size) == file.git_id


def _digest(path: Path, kind: str, before: bytes = b"") -> str:
    digest = hashlib.new(kind, before, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
