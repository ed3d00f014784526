"""``poetry install`` gives what ``./run.sh install test`` gives, and the lock file agrees."""

from __future__ import annotations

import tomllib

from tests.setup.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKED = tomllib.loads((ROOT / "poetry.lock").read_text(encoding="utf-8"))["package"]
EXTRA = PROJECT["project"]["optional-dependencies"]["test"]
GROUP = PROJECT["tool"]["poetry"]["group"]["dev"]["dependencies"]


def test_the_group_that_poetry_installs_is_the_extra_that_run_sh_installs() -> None:
    assert {f"{name}{versions}" for name, versions in GROUP.items()} == set(EXTRA)


def test_the_lock_file_has_the_group() -> None:
    required = {package["name"] for package in LOCKED if "dev" in package["groups"]}
    assert required >= GROUP.keys()
    assert not [
        package["name"] for package in LOCKED if "dev" in package["groups"] and package["optional"]
    ]
