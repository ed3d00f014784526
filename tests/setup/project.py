"""A small project under the real run.sh, and an index of its own, so that pip needs no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BACKEND = Path(__file__).with_name("backend.py")
LLAMA = "llama_cpp_python-0.3.36"
TOOLS = ("awk", "bash", "cat", "cksum", "cut", "df", "dirname", "env", "grep", "sleep", "tail")

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
dependencies = {needs}
"""

CLI = "import sys, llama_cpp\nprint('started', sys.argv[1:], llama_cpp.CMAKE_ARGS)\n"


@dataclass(frozen=True)
class Project:
    """A folder with run.sh in it and the index it installs from."""

    folder: Path
    index: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``./run.sh command`` with nothing in the environment but what is named."""
        return subprocess.run(
            [str(self.folder / "run.sh"), *command],
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """Keep pip away from the machine's settings, indexes and cache."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHON": os.path.realpath(sys.executable),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_CACHE_DIR": str(self.folder / "pip cache"),
            "PIP_INDEX_URL": (self.index / "simple").as_uri(),
            **more,
        }

    def copy(self, folder: Path) -> Project:
        """Make another one, with whatever is installed in this one."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.index)


def make_project(folder: Path, index: Path) -> Project:
    """Write a project that depends on llama-cpp-python and prints how that was built."""
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "run.sh", folder)
    shutil.copy(BACKEND, folder)
    needs = '["llama-cpp-python"]'
    pyproject = PYPROJECT.format(name="toy", version="1", needs=needs)
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "poetry.lock").write_text(
        '[[package]]\nname = "llama-cpp-python"\nversion = "0.3.36"\n'
    )
    (folder / "app" / "cli").mkdir(parents=True)
    (folder / "app" / "cli" / "__main__.py").write_text(CLI)
    return Project(folder, index)


def make_index(index: Path) -> Path:
    """Write an index that has llama-cpp-python as source only."""
    source = index / LLAMA
    source.mkdir(parents=True)
    shutil.copy(BACKEND, source)
    pyproject = PYPROJECT.format(name="llama-cpp-python", version="0.3.36", needs="[]")
    (source / "pyproject.toml").write_text(pyproject)
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: llama-cpp-python\n")
    page = index / "simple" / "llama-cpp-python"
    page.mkdir(parents=True)
    with tarfile.open(page / f"{LLAMA}.tar.gz", "w:gz") as archive:
        archive.add(source, LLAMA)
    (page / "index.html").write_text(f'<a href="{LLAMA}.tar.gz">{LLAMA}.tar.gz</a>')
    return index


def make_wheel_index(index: Path, source: Path) -> str:
    """Write an index that has the same package as a wheel, and give its address."""
    page = index / "llama-cpp-python"
    page.mkdir(parents=True)
    build = "import backend, sys; print(backend.build_wheel(sys.argv[1]))"
    environment = {"CMAKE_ARGS": "prebuilt", "PYTHONPATH": "."}
    subprocess.run(
        [sys.executable, "-c", build, str(page)], cwd=source, env=environment, check=True
    )
    wheel = f"{LLAMA}-py3-none-any.whl"
    (page / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')
    return index.as_uri()


def make_mlx_vlm(index: Path) -> None:
    """Add mlx-vlm to an index, which asks for a package that is not there."""
    page = index / "simple" / "mlx-vlm"
    page.mkdir(parents=True)
    wheel, about = "mlx_vlm-0.7.10-py3-none-any.whl", "mlx_vlm-0.7.10.dist-info"
    metadata = "Metadata-Version: 2.1\nName: mlx-vlm\nVersion: 0.7.10\nRequires-Dist: heavy\n"
    with zipfile.ZipFile(page / wheel, "w") as archive:
        archive.writestr("mlx_vlm.py", "")
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    (page / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>')


def tools_only(folder: Path) -> str:
    """Make a PATH with what every system has, but no Python and no compiler."""
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return str(folder)
