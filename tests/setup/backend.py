"""A build backend of the standard library alone, so that pip can build packages with no index.

It stands in for llama.cpp's compiler: it prints Ninja's progress, takes its time, and keeps the
CMAKE_ARGS it was given inside the package it builds.
"""

from __future__ import annotations

import os
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any


def build_wheel(folder: str, settings: object = None, metadata: object = None) -> str:
    for step in (1, 2):
        print(f"[{step}/2] compiling", flush=True)  # noqa: T201
        time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    if os.environ.get("BREAK_THE_BUILD"):
        sys.exit("error: the compiler is on strike")
    built_with = f"CMAKE_ARGS = {os.environ.get('CMAKE_ARGS', '')!r}\n"
    return _wheel(folder, {"llama_cpp.py": built_with})


def build_editable(folder: str, settings: object = None, metadata: object = None) -> str:
    return _wheel(folder, {"toy.pth": str(Path.cwd())})


def _wheel(folder: str, files: dict[str, str]) -> str:
    facts: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    name, version = facts["name"].replace("-", "_"), facts["version"]
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in facts["dependencies"])
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    wheel = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, wheel), "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel
