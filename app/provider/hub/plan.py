"""The files of a repository, and those of them that one download brings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from app.provider.hub.names import SourceName

INCOMING = ".incoming"
"""Folder of downloads in progress, below the models folder."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file at one revision of a repository; ``size`` is in bytes.

    ``sha256`` is that of its content, ``git_id`` the SHA-1 that git names it by; each is empty
    where the hub does not give it. ``revision`` is the one to request.
    """

    path: str
    size: int
    sha256: str
    git_id: str
    revision: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a repository at its newest revision."""

    hub: SourceName
    repo: str
    revision: str
    licence: str
    files: tuple[HubFile, ...]

    @property
    def reference(self) -> str:
        """The name to ask for it by."""
        return _reference(self.hub, self.repo, self.revision)


@dataclass(frozen=True, slots=True)
class Plan:
    """A model to download: ``files`` become the file or folder ``name``, as they lie in ``root``.

    ``path`` names the model within its repository.
    """

    hub: SourceName
    repo: str
    revision: str
    licence: str
    path: str
    name: str
    folder: bool
    root: str
    files: tuple[HubFile, ...]

    @property
    def id(self) -> str:
        """The model's name in requests."""
        return self.name if self.folder else self.name.removesuffix(".gguf")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def reference(self) -> str:
        """The name to ask for exactly this model by."""
        return f"{_reference(self.hub, self.repo, self.revision)}:{self.path}"

    @property
    def contents(self) -> dict[str, tuple[int, str, str]]:
        """Size and checksums by path; equal for revisions that differ only in other files."""
        return {file.path: (file.size, file.sha256, file.git_id) for file in self.files}

    @property
    def key(self) -> str:
        """Name of the staging folder. A plan with the same content continues in it."""
        content = repr((self.hub, self.repo, sorted(self.contents.items())))
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def within(self, file: HubFile) -> str:
        """The path of a file, relative to the model's folder."""
        path = PurePosixPath(file.path)
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else path.name

    @property
    def alone(self) -> Plan:
        """The plan of the model's own file without its companions."""
        name = PurePosixPath(self.path).name
        files = tuple(file for file in self.files if file.path == self.path)
        return replace(self, name=name, folder=False, files=files)

    def same_source(self, other: Plan) -> bool:
        """Whether both are revisions of one model."""
        return (self.hub, self.repo, self.path) == (other.hub, other.repo, other.path)

    def values(self) -> dict[str, Any]:
        """All fields as values for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Plan:
        """Rebuild a plan from its ``values``."""
        files = tuple(HubFile(**file) for file in values["files"])
        return cls(**{**values, "files": files})


def _reference(hub: SourceName, repo: str, revision: str) -> str:
    return f"pypi:{repo}=={revision}" if hub == "pypi" else repo
