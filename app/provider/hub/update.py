"""Newer revisions of pulled models: found, downloaded beside the old one, tried and swapped in."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.provider.catalogue.scan import card_at
from app.provider.errors import ModelNotLoadable
from app.provider.hub import record, staging
from app.provider.hub.check import has_sizes_of, is_all_of, located
from app.provider.hub.download import Report, bring, find
from app.provider.hub.errors import HubError, NameTaken, NotOnHub
from app.provider.hub.names import Hubs, Wanted
from app.provider.hub.plan import Plan
from app.provider.hub.record import Record
from app.provider.hub.staging import StagingFolder

SmokeTest = Callable[[Path], str]
"""Returns why a model does not work; an empty text where it works."""

CHANGED = "{} is not as it was pulled: rename it, or it cannot be updated."


@dataclass(frozen=True, slots=True)
class News:
    """A pulled model, the newest plan for it where the hub has one, and what to say of it."""

    have: Plan
    newest: Plan | None
    state: str

    @property
    def newer(self) -> Plan | None:
        """The newest plan, if it brings other content."""
        known = self.newest is None or self.newest.contents == self.have.contents
        return None if known else self.newest


def records(models_dir: Path, model: str = "") -> list[Record]:
    """Read the records of all pulled models, or of one; raises NotOnHub if it was not pulled."""
    staging.repair(models_dir)
    found = [one for one in record.every(models_dir) if model in {"", one.plan.id}]
    if model and not found:
        raise NotOnHub(f"{model!r} was not pulled to this machine: its source is not known.")
    return [record.settle(models_dir, one) for one in found]


def news(hubs: Hubs, have: Plan, models_dir: Path) -> News:
    """Ask the hub for the newest revision of a pulled model."""
    if not has_sizes_of(models_dir / have.name, have):
        return News(have, None, CHANGED.format(have.name))
    try:
        newest = find(hubs, Wanted(have.hub, have.repo, have.path))
    except HubError as error:
        return News(have, None, str(error).partition("\n")[0])
    if newest.folder and not have.folder:
        newest = newest.alone  # it was pulled before it could see, and stays one file
    same = newest.contents == have.contents
    return News(have, newest, "up to date" if same else "newer revision")


def renew(hubs: Hubs, models_dir: Path, found: News, smoke_test: SmokeTest, report: Report) -> None:
    """Replace a model by its newer revision once that has loaded.

    The old one stays in its place until then. Raises any HubError, and ModelNotLoadable.
    """
    old, new = found.have, found.newer or found.have
    target, endpoint = models_dir / old.name, hubs.endpoint(new.hub)
    if not is_all_of(target, old):
        raise NameTaken(CHANGED.format(old.name))
    with staging.claim(models_dir, new) as staged:
        _reuse(old, new, target, staged)
        bring(hubs, new, staged, report)
        if _worked(target) and (problem := smoke_test(staged.model)):
            staged.clear()
            raise ModelNotLoadable(
                f"The new {new.name} does not load and was deleted; the old one stays. {problem}"
            )
        record.write(models_dir, new, endpoint, previous=old)
        staging.swap(staged, target)
        record.write(models_dir, new, endpoint)
    staging.forget(models_dir, new)


def _worked(target: Path) -> bool:
    """Whether the old one could be loaded: one that never could proves nothing of the new one."""
    card = card_at(target)
    return card is not None and card.problem is None


def _reuse(old: Plan, new: Plan, target: Path, staged: StagingFolder) -> None:
    """Link the files that have not changed into the bay, where the file system can do that."""
    for file in new.files:
        path = located(staged.model, new, file)
        if old.contents.get(file.path) == new.contents[file.path] and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                os.link(located(target, old, file), path)
