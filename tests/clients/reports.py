"""Scripts of named checks: which there are, and how each ended in the environment of a client."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.environments import SCRIPTS

PASSED = "passed"
CHECK = {
    ".py": re.compile(r"^@check\n(?:async )?def (\w+)", re.MULTILINE),
    ".mjs": re.compile(r"^  async (\w+)\(\) \{", re.MULTILINE),
}
Outcomes = dict[str, str]


def checks_of(script: str) -> list[str]:
    """The names of the checks, read from the script's text: it runs in another environment."""
    names = CHECK[Path(script).suffix].findall((SCRIPTS / script).read_text("utf-8"))
    assert names, f"{script} has no checks"
    return names


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], str]) -> Outcomes:
    """What ``make`` printed as JSON; the processes of one test run make it once together."""
    shared = factory.getbasetemp()
    if shared.name.startswith("popen-"):  # the folder of one of pytest-xdist's processes
        shared = shared.parent
    kept = shared / f"{name}.json"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(make(), "utf-8")
    outcomes: Outcomes = json.loads(kept.read_text("utf-8"))
    return outcomes
