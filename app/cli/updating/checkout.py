"""The code: a Git checkout with an upstream branch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from app.cli.updating.errors import CannotUpdate, StepFailed

SHOWN_FILES = 3


class Checkout:
    """The folder of the project, if it is the top of a Git checkout; raises CannotUpdate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._require_top()
        self.commit = self._commit("HEAD")

    def newest(self) -> str | None:
        """Fetch, and return the commit to update to; None if there is none. Raises CannotUpdate."""
        self._require_upstream()
        self._require_no_changes()
        fetched = self._git("fetch", "--quiet", wait_for_terminal=True)
        if fetched.returncode:
            raise CannotUpdate(f"The new version could not be fetched: {_reason(fetched)}")
        ours, theirs = self._count("@{upstream}..HEAD"), self._count("HEAD..@{upstream}")
        if ours and theirs:
            raise CannotUpdate(
                f"Your branch has {ours} commits that its upstream does not have: merge or rebase "
                "them yourself."
            )
        return self._commit("@{upstream}") if theirs else None

    def forward(self, commit: str) -> None:
        """Bring the files to a newer commit; raises StepFailed and changes nothing then."""
        merged = self._git("merge", "--ff-only", "--quiet", commit)
        if merged.returncode:
            raise StepFailed(f"The code could not be pulled: {_reason(merged)}")

    def back(self) -> None:
        """Bring the files to the commit of before; raises StepFailed."""
        reset = self._git("reset", "--quiet", "--keep", self.commit)
        if reset.returncode:
            raise StepFailed(f"The code could not be put back: {_reason(reset)}")

    def is_at(self, commit: str) -> bool:
        """Whether this commit is checked out now."""
        return self._commit("HEAD") == commit

    def _require_top(self) -> None:
        if not (self._folder / ".git").exists():
            raise CannotUpdate(
                f"{self._folder} is no Git checkout, so there is nothing to pull: install a new "
                "version the way this one was installed (a container: pull a new image)."
            )
        top = self._git("rev-parse", "--show-toplevel")
        if top.returncode:
            raise CannotUpdate(f"Git cannot read {self._folder}: {_reason(top)}")

    def _require_upstream(self) -> None:
        if self._git("symbolic-ref", "--quiet", "HEAD").returncode:
            raise CannotUpdate(
                "No branch is checked out, so there is nothing to pull: check one out, as with "
                "git switch main."
            )
        if self._git("rev-parse", "--quiet", "--verify", "@{upstream}").returncode:
            raise CannotUpdate(
                "The branch has no upstream to pull from: name one with "
                "git branch --set-upstream-to."
            )

    def _require_no_changes(self) -> None:
        changed = self._git("status", "--porcelain", "--untracked-files=no").stdout.splitlines()
        if changed:
            names = ", ".join(line[3:] for line in changed[:SHOWN_FILES])
            more = ", …" if len(changed) > SHOWN_FILES else ""
            raise CannotUpdate(
                f"You have changed files of the project ({names}{more}): commit them, or put them "
                "aside with git stash."
            )

    def _count(self, commits: str) -> int:
        return int(self._git("rev-list", "--count", commits).stdout)

    def _commit(self, name: str) -> str:
        return self._git("rev-parse", "--verify", f"{name}^{{commit}}").stdout.strip()

    def _git(
        self, *arguments: str, wait_for_terminal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run git; only with ``wait_for_terminal`` may it ask for a password, and Ctrl-C end it."""
        program = shutil.which("git")
        if program is None:
            raise CannotUpdate("Git is needed for an update: install it.")
        return subprocess.run(
            [program, "-C", str(self._folder), *arguments],
            env=os.environ | {"LC_ALL": "C"},
            stdin=None if wait_for_terminal else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=not wait_for_terminal,
        )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The lines of git's message in one."""
    lines = (line.strip() for line in done.stderr.splitlines())
    return " ".join(line for line in lines if line) or f"git ended with {done.returncode}."
