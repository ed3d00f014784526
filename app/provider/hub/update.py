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
class UpdateStatus:
    """A pulled model, the newest plan for it where the hub has one, and what to say of it."""

    installed: Plan
    newest: Plan | None
    state: str

    @property
    def newer(self) -> Plan | None:
        """The newest plan, if it brings other content."""
        known = self.newest is None or self.newest.contents == self.installed.contents
        return None if known else self.newest


def records(models_dir: Path, model: str = "") -> list[Record]:
    """Read the records of all pulled models, or of one; raises NotOnHub if it was not pulled."""
    staging.repair(models_dir)
    found = [one for one in record.every(models_dir) if model in {"", one.plan.id}]
    if model and not found:
        raise NotOnHub(f"{model!r} was not pulled to this machine: its source is not known.")
    return [record.settle(models_dir, one) for one in found]


def check_for_update(hubs: Hubs, installed: Plan, models_dir: Path) -> UpdateStatus:
    """Ask the hub for the newest revision of a pulled model."""
    if not has_sizes_of(models_dir / installed.name, installed):
        return UpdateStatus(installed, None, CHANGED.format(installed.name))
    try:
        newest = find(hubs, Wanted(installed.hub, installed.repo, installed.path))
    except HubError as error:
        return UpdateStatus(installed, None, str(error).partition("\n")[0])
    if newest.folder and not installed.folder:
        newest = newest.alone  # it was pulled before it could see, and stays one file
    same = newest.contents == installed.contents
    return UpdateStatus(installed, newest, "up to date" if same else "newer revision")


def replace_model(
    hubs: Hubs, models_dir: Path, found: UpdateStatus, smoke_test: SmokeTest, report: Report
) -> None:
    """Replace a model by its newer revision once that has loaded.

    The old one stays in its place until then. Raises any HubError, and ModelNotLoadable.
    """
    old, new = found.installed, found.newer or found.installed
    target, endpoint = models_dir / old.name, hubs.endpoint(new.hub)
    if not is_all_of(target, old):
        raise NameTaken(CHANGED.format(old.name))
    with staging.claim(models_dir, new) as staged:
        _reuse(old, new, target, staged)
        bring(hubs, new, staged, report)
        if _had_worked(target) and (problem := smoke_test(staged.model)):
            staged.clear()
            raise ModelNotLoadable(
                f"The new {new.name} does not load and was deleted; the old one stays. {problem}"
            )
        record.write(models_dir, new, endpoint, previous=old)
        staging.swap(staged, target)
        record.write(models_dir, new, endpoint)
    staging.forget(models_dir, new)


def _had_worked(target: Path) -> bool:
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
