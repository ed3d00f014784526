"""Finds newer revisions of pulled models, downloads, tries and installs them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.provider.catalogue.scan import card_at
from app.provider.errors import ModelNotLoadable
from app.provider.hub import record, staging
from app.provider.hub.check import file_path, matches_plan, sizes_match
from app.provider.hub.download import Report, download_files, find
from app.provider.hub.errors import HubError, NameTaken, NotOnHub
from app.provider.hub.names import Hubs, ModelReference
from app.provider.hub.plan import Plan
from app.provider.hub.record import Record
from app.provider.hub.staging import StagingFolder

SmokeTest = Callable[[Path], str]
"""Returns why a model does not work; an empty text where it works."""

CHANGED = "{} is not as it was pulled: rename it, or it cannot be updated."


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """A pulled model, its newest plan if the hub has one, and the result in words."""

    installed: Plan
    newest: Plan | None
    state: str

    @property
    def newer(self) -> Plan | None:
        """The newest plan, if its content differs."""
        known = self.newest is None or self.newest.contents == self.installed.contents
        return None if known else self.newest


def records(models_dir: Path, model: str = "") -> list[Record]:
    """Read the records of all pulled models or of one; raises NotOnHub if it was not pulled."""
    staging.repair(models_dir)
    found = [one for one in record.all_records(models_dir) if model in {"", one.plan.id}]
    if model and not found:
        raise NotOnHub(f"{model!r} was not pulled to this machine: its source is not known.")
    return [record.resolve_interrupted(models_dir, one) for one in found]


def check_for_update(hubs: Hubs, installed: Plan, models_dir: Path) -> UpdateStatus:
    """Ask the hub for the newest revision of a pulled model."""
    if not sizes_match(models_dir / installed.name, installed):
        return UpdateStatus(installed, None, CHANGED.format(installed.name))
    try:
        newest = find(hubs, ModelReference(installed.hub, installed.repo, installed.path))
    except HubError as error:
        return UpdateStatus(installed, None, str(error).partition("\n")[0])
    if newest.folder and not installed.folder:
        newest = newest.alone  # it was pulled without an mmproj file and stays one file
    same = newest.contents == installed.contents
    return UpdateStatus(installed, newest, "up to date" if same else "newer revision")


def replace_model(
    hubs: Hubs, models_dir: Path, found: UpdateStatus, smoke_test: SmokeTest, report: Report
) -> None:
    """Replace a model by its newer revision after a smoke test.

    The old one stays in place until then. Raises any HubError, and ModelNotLoadable.
    """
    old, new = found.installed, found.newer or found.installed
    target, endpoint = models_dir / old.name, hubs.endpoint(new.hub)
    if not matches_plan(target, old):
        raise NameTaken(CHANGED.format(old.name))
    with staging.claim(models_dir, new) as staged:
        _reuse(old, new, target, staged)
        download_files(hubs, new, staged, report)
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
    """Whether the old model could be loaded; otherwise a smoke test of the new one says nothing."""
    card = card_at(target)
    return card is not None and card.problem is None


def _reuse(old: Plan, new: Plan, target: Path, staged: StagingFolder) -> None:
    """Hard-link unchanged files into the staging folder, where the file system can do that."""
    for file in new.files:
        path = file_path(staged.model, new, file)
        if old.contents.get(file.path) == new.contents[file.path] and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                os.link(file_path(target, old, file), path)
