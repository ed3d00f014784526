"""An installed clone of this project, and the repository that its updates come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.storage.migrate import HEAD
from tests.mcp.stdio import free_port
from tests.setup.project import ROOT

CODE = ("app", "migrations", "prompts", "scripts", "sllm")
FILES = (".gitignore", "poetry.lock", "pyproject.toml", "run.sh")
NEXT = "9000"
"""The revision after the newest one."""

Edit = Callable[[Path], None]
"""A change to the files of the project."""

IDENTITY = {
    f"GIT_{role}_{fact}": value
    for role in ("AUTHOR", "COMMITTER")
    for fact, value in (("NAME", "A developer"), ("EMAIL", "developer@example.org"))
}
STAMP = """
source <(sed '$d' run.sh)  # its functions, without the command
cd "$1"
recall_recipe
recipe >.venv/llama-recipe
fingerprint >.venv/installed
"""


class Clone:
    """What a user has: ``git clone``, installed; and a developer's clone beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a clone"
        self._folder = folder
        self._developer = folder / "developer"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.database = f"sqlite:///{self.path}/sllm.db"

    def make(self) -> None:
        """Publish the code as it is here, clone it, and install it without any download."""
        upstream = self._folder / "upstream.git"
        self._git(self._folder, "init", "--quiet", "--bare", "--initial-branch=main", str(upstream))
        self._git(self._folder, "clone", "--quiet", str(upstream), str(self._developer))
        for name in CODE:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self._developer / name, ignore=ignored)
        for name in FILES:
            shutil.copy(ROOT / name, self._developer)
        self._git(self._developer, "switch", "--quiet", "--create", "main")
        self._publish()
        self._git(self._folder, "clone", "--quiet", str(upstream), str(self.path))
        self._install()

    def _install(self) -> None:
        """Make an environment that has the packages of the one that runs the tests."""
        venv = self.path / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        [packages] = venv.glob("lib/*/site-packages")
        packages.joinpath("shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        command = ["bash", "-euc", STAMP, "bash", str(self.path)]
        subprocess.run(command, cwd=self.path, env=self.environment(), check=True)

    def copy(self, folder: Path) -> Clone:
        """Another one like this, as long as no server has run in it."""
        shutil.copytree(self._folder, folder, symlinks=True)
        made = Clone(folder)
        for clone in (made.path, made._developer):
            upstream = str(folder / "upstream.git")
            self._git(clone, "remote", "set-url", "origin", upstream)
        # Where no command names another port, none looks at the one of somebody else's server.
        (made.path / ".env").write_text(f"PORT={free_port()}\n")
        return made

    def release(self, *edits: Edit) -> str:
        """Publish a version with these changes; gives its commit."""
        for edit in edits:
            edit(self._developer)
        self._publish()
        return self._git(self._developer, "rev-parse", "HEAD")

    def _publish(self) -> None:
        self._git(self._developer, "add", "--all")
        self._git(self._developer, "commit", "--quiet", "--message", "A version")
        self._git(self._developer, "push", "--quiet", "--set-upstream", "origin", "main")

    def git(self, *arguments: str) -> str:
        """What git prints in the user's clone."""
        return self._git(self.path, *arguments)

    def _git(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            [shutil.which("git") or "git", *arguments],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of this machine's settings, and no package index."""
        return {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "file:///nowhere",
            "ENABLE_ECHO": "true",
            "MODELS_DIR": str(self._folder),
            **IDENTITY,
            **more,
        }

    @contextmanager
    def begun(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Begin ``./run.sh command`` as a terminal does."""
        with subprocess.Popen(
            [str(self.path / "run.sh"), *command],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    kill_with_children(process.pid)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``./run.sh command``."""
        with self.begun(*command, **environment) as process:
            output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    @contextmanager
    def serving(self, **environment: str) -> Iterator[None]:
        """Run a server in the background; the next command does not know its settings."""
        started = self.run("start", PORT=str(self.port), **environment)
        assert started.returncode == 0, started.stderr
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        """Stop the server in the background, whatever the commands of this version do."""
        with suppress(psutil.NoSuchProcess):
            number = (self.path / "logs" / "server.state").read_text().split()[0]
            keeper = psutil.Process(int(number))
            if Path(keeper.cwd()) == self.path:
                keeper.terminate()
                keeper.wait(60)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.address}/health", timeout=60).json()
        return found


def kill_with_children(number: int) -> None:
    process = psutil.Process(number)
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.kill()


# ---------------------------------------------------------------- what versions change


def replace(name: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


SHOWS_ITSELF = replace("app/monitoring/health.py", '"database":', '"release": "new", "database":')
IS_ILL = replace("app/monitoring/health.py", "well = ", "well = False and ")
NEEDS_WHAT_NOBODY_HAS = replace(
    "pyproject.toml", "dependencies = [", 'dependencies = [\n    "a-package-that-nobody-has>=1",'
)
NEVER_ENDS_ITS_START = replace(
    "app/cli/serve.py",
    "def main() -> None:",
    "def main() -> None:\n    import time\n    time.sleep(600)",
)
NEVER_ENDS_ITS_INSTALLATION = replace(
    "run.sh", "\ninstall() {", "\ninstall() {\n    touch .venv/began\n    sleep 600\n"
)


def moves_the_script(folder: Path) -> None:
    """A shell that went on reading run.sh would now read something else there."""
    script = folder / "run.sh"
    first, _, rest = script.read_text().partition("\n")
    script.write_text("\n".join((first, *["exit_code=$?"] * 200, rest)))


def has_only_broken_modules(folder: Path) -> None:
    """Whoever imports any of them ends at once."""
    for path in (folder / "app").rglob("*.py"):
        path.write_text('raise SystemExit("the new version is broken")\n')


MIGRATION = """
from alembic import op


def upgrade():
    op.execute("CREATE TABLE later (id TEXT PRIMARY KEY)")
    op.execute("UPDATE conversations SET title = 'changed'")
"""


def _migrates(statement: str) -> Edit:
    def edit(folder: Path) -> None:
        replace("app/storage/migrate.py", f'HEAD = "{HEAD}"', f'HEAD = "{NEXT}"')(folder)
        script = folder / "migrations" / "versions" / f"{NEXT}_next.py"
        revisions = f"revision, down_revision = {NEXT!r}, {HEAD!r}\n"
        script.write_text(f"{revisions}{MIGRATION}    op.execute({statement!r})\n")

    return edit


MIGRATES = _migrates("INSERT INTO later VALUES ('one')")
CANNOT_MIGRATE = _migrates("INSERT INTO nowhere VALUES ('one')")
