"""Records where a pulled model came from: ``models/.sources/<id>.json``.

While a newer revision replaces a model, the record names both revisions. The files' checksums then
say which one is there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.provider.hub import check, staging
from app.provider.hub.names import ModelReference
from app.provider.hub.plan import Plan

SOURCES = ".sources"


@dataclass(frozen=True, slots=True)
class Record:
    """What was pulled, from where and when (UTC); ``previous`` while it is being replaced."""

    plan: Plan
    endpoint: str
    pulled_at: str
    previous: Plan | None = None


def write(models_dir: Path, plan: Plan, endpoint: str, previous: Plan | None = None) -> None:
    """Write the record of a model atomically."""
    values = {
        "plan": plan.values(),
        "endpoint": endpoint,
        "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "previous": previous and previous.values(),
    }
    path = _path(models_dir, plan.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps(values, indent=1), encoding="utf-8")
    new.replace(path)


def read(models_dir: Path, model: str) -> Record | None:
    """Read the record of a model that is there; None without a valid one."""
    try:
        values = json.loads(_path(models_dir, model).read_text(encoding="utf-8"))
        previous = values["previous"] and Plan.of(values["previous"])
        plan = Plan.of(values["plan"])
        found = Record(plan, values["endpoint"], values["pulled_at"], previous)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if (models_dir / found.plan.name).exists() else None


def remove(models_dir: Path, found: Record) -> None:
    """Remove a model, and its record last: an interrupted removal can be done again."""
    path = models_dir / found.plan.name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    _path(models_dir, found.plan.id).unlink(missing_ok=True)


def all_records(models_dir: Path) -> Iterator[Record]:
    """Read the records of all models that are there, sorted by id."""
    for path in sorted((models_dir / SOURCES).glob("[!.]*.json")):
        if found := read(models_dir, path.name.removesuffix(".json")):
            yield found


def find(models_dir: Path, wanted: ModelReference) -> Record | None:
    """Find the model that was pulled by this name, as the hub's list would be searched for it."""
    for found in all_records(models_dir):
        plan = found.plan
        paths = [plan.path, *(file.path for file in plan.files)]
        fits = wanted.path in paths or wanted.path.lower() in plan.path.lower()
        if (plan.hub, plan.repo) == (wanted.hub, wanted.repo) and fits:
            return found
    return None


def resolve_interrupted(models_dir: Path, found: Record) -> Record:
    """Find out which revision is there after an interrupted update; reads the whole model."""
    if found.previous is None:
        return found
    new = check.matches_plan(models_dir / found.plan.name, found.plan)
    if new:
        staging.forget(models_dir, found.plan)
    there = found.plan if new else found.previous
    write(models_dir, there, found.endpoint)
    return Record(there, found.endpoint, found.pulled_at)


def _path(models_dir: Path, model: str) -> Path:
    return models_dir / SOURCES / f"{model}.json"
