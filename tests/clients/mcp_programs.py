"""Programs of the protocol's authors: the conformance suite, and the Inspector without a window."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.environments import HERE, TIMEOUT, node_with

PACKAGES = Path("node_modules", "@modelcontextprotocol")
CONFORMANCE = PACKAGES / "conformance/dist/index.js"
INSPECTOR = PACKAGES / "inspector/clients/launcher/build/index.js"
EXPECTED_FAILURES = HERE / "mcp_suite" / "expected_failures.yml"

RESULTS = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT.+")
"""The folder of a scenario's results: its name and a time."""
FAILED, DOUBTFUL = "FAILURE", "WARNING"


@dataclass(frozen=True)
class Report:
    """How a run of the suite ended, what it printed at last, and the checks of each scenario."""

    status: int
    verdict: str
    checks: dict[str, list[dict[str, Any]]]

    def wrong(self, scenario: str, *kinds: str) -> dict[str, str]:
        """What went wrong in the checks of a scenario, by their ids."""
        return {
            check["id"]: check.get("errorMessage", "")
            for check in self.checks[scenario]
            if check["status"] in kinds
        }


def required_scenarios(revision: str, folder: Path) -> list[str]:
    """What a revision of the protocol requires of servers."""
    printed = _run(folder, CONFORMANCE, "list", "--requirements", revision).stdout
    of_servers = printed.partition("Server scenarios")[2].partition("Client scenarios")[0]
    return re.findall(r"^  - (\S+)$", of_servers, re.MULTILINE)


def conformance(address: str, revision: str, folder: Path) -> Report:
    """Run what a revision requires against the server at this address."""
    results = folder / "results"
    where = ("--url", f"{address}/mcp", "--output-dir", results)
    what = ("--requirements", revision, "--expected-failures", EXPECTED_FAILURES)
    done = _run(folder, CONFORMANCE, "server", *where, *what)
    checks = {
        found[1]: json.loads((kept / "checks.json").read_text("utf-8"))
        for kept in results.iterdir()
        if (found := RESULTS.fullmatch(kept.name))
    }
    verdict = done.stdout.rpartition("\nTotal: ")[2] + done.stderr
    return Report(done.returncode, verdict, checks)


def inspector(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """What a server answers to the Inspector."""
    done = _run(folder, INSPECTOR, "--cli", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _run(folder: Path, program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of them in ``folder``, where it finds no settings and writes its own."""
    node, packages = node_with("mcp_suite")
    return subprocess.run(
        [node, packages / program, *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
