"""The packages in ``.venv``, which ``run.sh`` installs."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from app.cli.project import PROJECT
from app.cli.updating.errors import CannotUpdate
from app.cli.updating.processes import INSTALL, run

STAMP = "installed"
"""Begins the names of the files that say what is installed: this, and one for each extra."""
OF_DEVELOPERS = frozenset({"test", "bench"})
"""Extras that the commands which need them bring up to date."""


class Installation:
    """What is installed before an update; raises CannotUpdate if ``run.sh`` uses another one."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._folder = PROJECT / ".venv"
        if not (self._folder.exists() and self._folder.samefile(sys.prefix)):
            raise CannotUpdate(
                f"This command runs in the environment {sys.prefix}, but an update installs into "
                f"{self._folder}: call ./run.sh update."
            )
        self._extras = sorted(
            path.name.removeprefix(f"{STAMP}-") for path in self._folder.glob(f"{STAMP}-*")
        )
        self._packages = _packages()

    def bring_up_to_date(self) -> None:
        """Install what the code needs, with the extras that are there; raises StepFailed."""
        run(INSTALL, self._environment)
        for extra in self._extras:
            if extra not in OF_DEVELOPERS:
                run((*INSTALL, extra), self._environment)

    def put_back(self) -> None:
        """Install as it was, if anything has changed; raises StepFailed."""
        if _packages() == self._packages:
            return
        for stamp in self._folder.glob(f"{STAMP}*"):
            stamp.unlink()  # whatever they say, a package may be half replaced
        self.bring_up_to_date()


def _packages() -> set[str]:
    """Names and versions of all packages, as the names of the folders with what pip knows."""
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return {path.name for place in places for path in Path(place).glob("*.dist-info")}
