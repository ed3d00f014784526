"""Downloads a wheel with pip, which knows the user's index, mirror, proxy and certificates.

pip is asked for the file alone: nothing of it is built, installed or run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.provider.hub.errors import (
    Damaged,
    HubError,
    HubUnreachable,
    NoSpace,
    NotAllowed,
    NotOnHub,
)

WHEELS = "wheels"
"""Folder, in that of a download, of whole wheels."""
SCRATCH = "tmp"
"""Folder of pip's own temporary files."""
_POLL_SECONDS = 0.2
_LONGEST_LOG = 2**22
"""Bytes of pip's output that are read."""

_PROBLEMS: tuple[tuple[tuple[str, ...], type[HubError], str], ...] = (
    (
        ("No space left on device", "Disk quota exceeded"),
        NoSpace,
        "The disk is full: make room and try again.",
    ),
    (
        ("401 Client Error", "403 Client Error"),
        NotAllowed,
        "The package index refuses {}: check the user name and password that pip has for it.",
    ),
    (
        (
            "after connection broken by",
            "Max retries exceeded",
            "incomplete-download",
            "Read timed out",
        ),
        HubUnreachable,
        "The package index cannot be reached: check the network and try again, or name a mirror "
        "in PIP_INDEX_URL.",
    ),
    (
        ("DO NOT MATCH THE HASHES", "is invalid."),
        Damaged,
        "The wheel of {} arrived damaged and was deleted: try again.",
    ),
    (
        ("No matching distribution found",),
        NotOnHub,
        "The package index has no wheel of {} that this Python can read: check its name and "
        "version, and the index that pip is set to (PIP_INDEX_URL).",
    ),
)
"""What pip writes → what has happened. It has one exit status for all; the first match counts."""


def download(
    requirement: str, folder: Path, report: Callable[[int], None], largest: int | None = None
) -> Path:
    """Bring the wheel of ``package`` or ``package==version`` into ``folder``; raises HubError.

    A wheel that is there already and has the index's checksum is kept. ``report`` is given the
    bytes that have arrived; a wheel of more than ``largest`` bytes is given up.
    """
    if importlib.util.find_spec("pip") is None:
        raise HubError(
            "pip is missing in this Python environment: install it with python -m ensurepip."
        )
    log, wheels, scratch = folder / "pip.log", folder / WHEELS, folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
    for path in (wheels, scratch):
        path.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, _running(requirement, wheels, scratch, output.fileno()) as pip:
        _watch(pip, folder, report, largest or sys.maxsize)
    found = list(wheels.glob("*.whl"))
    if pip.returncode or len(found) != 1:
        raise _problem(requirement, log)
    shutil.rmtree(scratch, ignore_errors=True)
    return found[0]


@contextmanager
def _running(
    requirement: str, wheels: Path, scratch: Path, output: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start pip, which is gone at the end of the block; its scratch files stay on this disk."""
    script = str(Path(__file__).with_name("pip_child.py"))
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    popen = subprocess.Popen(
        # -vv: only then it says why an index gave nothing.
        [sys.executable, "-P", script, "download", "-vv", *options, "--dest", ".", requirement],
        cwd=wheels,  # a requirement cannot be the name of a file there
        env={**os.environ, "TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
    )
    try:
        yield popen
    finally:
        popen.kill()
        popen.wait()
        if popen.stdin:
            popen.stdin.close()


def _watch(
    pip: subprocess.Popen[bytes], folder: Path, report: Callable[[int], None], largest: int
) -> None:
    """Report the bytes of the wheel until pip has ended."""
    arrived = 0
    while True:
        with suppress(subprocess.TimeoutExpired):
            pip.wait(_POLL_SECONDS)
        arrived = max(arrived, _arrived(folder))  # pip copies the wheel in the end
        report(arrived)
        if arrived > largest:
            raise Damaged("The package is larger than it should be: it was not taken.")
        if pip.returncode is not None:
            return


def _arrived(folder: Path) -> int:
    """Bytes of the largest file: the wheel that grows, or is there."""
    sizes = [0]
    for path in folder.rglob("*.whl"):
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes)


def _problem(requirement: str, log: Path) -> HubError:
    with log.open("rb") as content:
        said = content.read(_LONGEST_LOG).decode(errors="replace")
    for phrases, kind, sentence in _PROBLEMS:
        if any(phrase in said for phrase in phrases):
            return kind(sentence.format(requirement))
    return HubUnreachable(
        f"pip cannot download {requirement}; to see why: "
        f".venv/bin/python -m pip download --no-deps {requirement}"
    )
