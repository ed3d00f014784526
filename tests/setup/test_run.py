from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.setup.project import (
    Project,
    make_index,
    make_mlx_vlm,
    make_project,
    make_wheel_index,
    tools_only,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project nobody has run yet, in a folder whose name has spaces."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    return make_project(folder, make_index(folder / "index"))


@pytest.fixture(scope="module")
def created(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with a virtual environment, in which nothing is installed."""
    project = fresh.copy(tmp_path_factory.mktemp("created") / "with a venv")
    python = project.environment()["PYTHON"]
    subprocess.run([python, "-m", "venv", project.folder / ".venv"], check=True)
    return project


@pytest.fixture(scope="module")
def started(
    fresh: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, subprocess.CompletedProcess[str]]:
    """The same after its first start, and how that went: it takes seconds."""
    project = fresh.copy(tmp_path_factory.mktemp("installed") / "and started once")
    return project, project.run()


@pytest.fixture(scope="module")
def installed(started: tuple[Project, subprocess.CompletedProcess[str]]) -> Project:
    project, done = started
    assert done.returncode == 0, done.stderr
    return project


def test_first_start_creates_builds_installs_and_serves(
    started: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    _, done = started
    assert done.returncode == 0, done.stderr
    for line in ("Creating .venv", "Compiling llama.cpp", "LLAMA_WHEEL_INDEX", "started ['serve']"):
        assert line in done.stdout


@pytest.mark.matrix
def test_llama_is_built_with_our_short_cut_in_a_path_with_spaces(installed: Project) -> None:
    cmake_args = installed.run("models").stdout.partition("] ")[2]
    name, _, path = shlex.split(cmake_args)[-1].partition("=")
    assert name == "-DCMAKE_PROJECT_llama_cpp_INCLUDE"
    assert path == str(installed.folder / "scripts" / "llama-build.cmake")
    assert Path(path).is_file()


def test_next_start_installs_nothing_and_passes_arguments_on(installed: Project) -> None:
    done = installed.run("pull", "a name", PIP_INDEX_URL="file:///nowhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("started ['pull', 'a name']")


@pytest.mark.matrix
def test_changed_lock_installs_again(installed: Project, tmp_path: Path) -> None:
    project = installed.copy(tmp_path / "changed")
    with (project.folder / "poetry.lock").open("a") as lock:
        lock.write("\n")
    assert "Installing the packages: done" in project.run("models").stdout
    assert "Installing" not in project.run("models").stdout


@pytest.mark.matrix
def test_mlx_comes_with_mlx_vlm_alone(installed: Project, tmp_path: Path) -> None:
    """What mlx-vlm declares is heavy and not needed to look at pictures."""
    index = tmp_path / "index"
    shutil.copytree(installed.index, index)
    make_mlx_vlm(index)
    project = Project(installed.copy(tmp_path / "for MLX").folder, index)
    done = project.run("install", "mlx")
    assert done.returncode == 0, done.stderr
    assert list(project.folder.glob(".venv/lib/*/site-packages/mlx_vlm.py"))
    assert "Installing" not in project.run("install", "mlx").stdout


@pytest.mark.matrix
def test_cmake_args_rebuild_llama_and_stay(installed: Project, tmp_path: Path) -> None:
    project = installed.copy(tmp_path / "for a GPU")
    assert "-DGGML_CUDA=on" in project.run("models", CMAKE_ARGS="-DGGML_CUDA=on").stdout
    again = project.run("models").stdout
    assert again.startswith("started ['models'] -DGGML_CUDA=on")
    assert "-DGGML_CUDA=on" not in project.run("models", CMAKE_ARGS="").stdout


@pytest.mark.matrix
def test_named_wheel_index_needs_no_compiler(created: Project, tmp_path: Path) -> None:
    project = created.copy(tmp_path / "wheel")
    wheels = make_wheel_index(tmp_path / "wheels", project.index / "llama_cpp_python-0.3.36")
    path = tools_only(tmp_path / "bin")
    done = project.run("models", LLAMA_WHEEL_INDEX=wheels, PATH=path)
    assert done.returncode == 0, done.stderr
    assert "Compiling" not in done.stdout
    assert done.stdout.endswith("started ['models'] prebuilt\n")


@pytest.mark.matrix
def test_terminal_sees_the_compiler_advance_in_place(created: Project, tmp_path: Path) -> None:
    project = created.copy(tmp_path / "terminal")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [project.folder / "run.sh", "install"],
        env=project.environment(STEP_SECONDS="1.5"),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.wait() == 0, shown
    assert b"\r\x1b[KBuilding llama-cpp-python==0.3.36" in shown
    assert b"[1/2]" in shown
    assert b"[2/2]" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other side has closed
        return b""


# ---------------------------------------------------------------- what can go wrong


def test_no_python(fresh: Project, tmp_path: Path) -> None:
    done = fresh.run(PYTHON="", PATH=tools_only(tmp_path / "bin"))
    _fails(done, "Python 3.11 to 3.14 is needed, but python3 is missing")


def test_old_python(fresh: Project, tmp_path: Path) -> None:
    path = tools_only(tmp_path / "bin")
    old = Path(path, "python3")
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18\n')
    old.chmod(0o755)
    _fails(fresh.run(PYTHON="", PATH=path), "but python3 is Python 3.9.18")


def test_python_without_venv(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")
    _fails(fresh.run(PYTHONPATH=str(tmp_path)), "sudo apt install python3-venv")


def test_no_compiler(created: Project, tmp_path: Path) -> None:
    project = created.copy(tmp_path / "project")
    done = project.run(PATH=tools_only(tmp_path / "bin"))
    _fails(done, "A C++ compiler is needed")


def test_unreachable_index(created: Project, tmp_path: Path) -> None:
    project = created.copy(tmp_path / "project")
    path = tools_only(tmp_path / "bin")  # no compiler either: that is not what to say here
    done = project.run(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1", PATH=path)
    _fails(done, "the package index cannot be reached")


def test_failed_build_shows_the_end_of_its_log(created: Project, tmp_path: Path) -> None:
    project = created.copy(tmp_path / "project")
    done = project.run(BREAK_THE_BUILD="yes")
    assert done.returncode == 1
    assert "the compiler is on strike" in done.stderr
    assert "all of it in .venv/install.log" in done.stderr


def test_small_disk(fresh: Project, tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=64m none "$0" && TMPDIR=$0 exec "$1" install'
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    done = subprocess.run(
        [*unshare, "sh", "-c", script, tmp_path, fresh.folder / "run.sh"],
        env=fresh.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    _fails(done, f"but only 64 MB are free in {tmp_path}")


def test_unknown_command(fresh: Project) -> None:
    _fails(fresh.run("dance"), "There is no command 'dance'")


def _fails(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
