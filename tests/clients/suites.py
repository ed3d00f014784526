"""Test suites of others: pytest runs them in their environment, and tells how each test ended."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.clients.environments import TIMEOUT

PASSED, SKIPPED = "passed", "skipped"


def run_suite(
    python: Path, folder: Path, arguments: Sequence[str | Path], settings: Mapping[str, str]
) -> dict[str, str]:
    """How each test ended: as passed, as skipped, or with what went wrong."""
    result = folder / f"result-{os.getpid()}.xml"
    command: list[str | Path] = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [f"--config-file={os.devnull}", f"--rootdir={folder}"]  # no settings of this project
    command += [f"--junit-xml={result}", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert result.exists(), done.stdout + done.stderr
    try:
        root = ElementTree.parse(result).getroot()  # noqa: S314 — pytest wrote it just now
    finally:
        result.unlink()
    return {_name(case): _outcome(case) for case in root.iter("testcase")}


def _name(case: ElementTree.Element) -> str:
    """The module's last name and the test's: ``test_chat_completion::test_logprobs``."""
    module = case.get("classname", "").rpartition(".")[2]
    return f"{module}::{case.get('name')}"


def _outcome(case: ElementTree.Element) -> str:
    for kind in ("failure", "error"):
        if (found := case.find(kind)) is not None:
            return found.text or kind
    return PASSED if case.find("skipped") is None else SKIPPED


def as_text(outcomes: Mapping[str, str]) -> str:
    """What failed, for the message of a test that fails."""
    return json.dumps(dict(outcomes), indent=1, ensure_ascii=False).replace("\\n", "\n")
