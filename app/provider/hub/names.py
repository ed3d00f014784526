"""What a user may ask for: a recommended name, or ``[hub:]owner/repository[:path]``.

Only names are taken, never addresses: the hubs are those of the settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from app.provider.curated import RECOMMENDED
from app.provider.hub.errors import NotOnHub

HubName = Literal["huggingface", "modelscope"]

LONGEST = 500
"""Characters of a name."""

_SHORT = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Hubs:
    """The hub that is asked unless a name says otherwise, and where each hub is."""

    default: HubName
    endpoints: Mapping[HubName, str]

    def endpoint(self, hub: HubName) -> str:
        """The address of that hub, which may have a path, without a slash at its end."""
        return self.endpoints[hub].rstrip("/")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model on a hub. ``path`` is of a file or folder, or a part of it; empty: the only one."""

    hub: HubName
    repo: str
    path: str


def parse(text: str, default: HubName) -> Wanted:
    """Say what ``text`` means; raises ValueError if it is no name, NotOnHub if it is unknown."""
    check(text)
    hub, rest = _hub(text, default)
    repo, _, path = rest.partition(":")
    return Wanted(hub, repo, path) if "/" in repo else _recommended(repo, hub)


def check(text: str) -> None:
    """Raise ValueError if ``text`` cannot be a name."""
    _, rest = _hub(text, "huggingface")
    repo, _, path = rest.partition(":")
    if len(text) > LONGEST or not (_SHORT.fullmatch(rest) or _is_place(repo, path)):
        raise ValueError("must be a recommended name or owner/repository[:path]")


def is_safe(path: str) -> bool:
    """Whether a path of a repository stays below its folder, and hides nothing."""
    return path.isprintable() and all(
        part and not part.startswith(".") and "\\" not in part for part in path.split("/")
    )


def _hub(text: str, default: HubName) -> tuple[HubName, str]:
    for hub in get_args(HubName):
        if text.startswith(f"{hub}:"):
            return hub, text.removeprefix(f"{hub}:")
    return default, text


def _is_place(repo: str, path: str) -> bool:
    return (
        _REPO.fullmatch(repo) is not None
        and ".." not in repo
        and (path in {"", "."} or is_safe(path))
    )


def _recommended(name: str, hub: HubName) -> Wanted:
    for model in RECOMMENDED:
        if model.name == name:
            return Wanted(hub, model.repo, model.file)
    raise NotOnHub(f"There is no recommended model {name!r}; pull without a name lists them.")
