"""Downloads a wheel with pip, which knows the user's index, mirror, proxy and certificates.

pip only downloads the file. Nothing in it is built, installed or run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from app.provider.hub.errors import (
    Damaged,
    HubError,
    HubUnreachable,
    NoSpace,
    NotAllowed,
    NotOnHub,
)

WHEELS = "wheels"
"""Folder of the complete wheel, in the folder of a download."""
SCRATCH = "tmp"
"""Folder of pip's own temporary files."""
_DONE = "done"
"""Folder in ``SCRATCH`` that pip copies a checked wheel to."""
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
"""Texts in pip's output → the error they mean. pip has one exit status for all errors; the first
match counts."""


def download(
    requirement: str, folder: Path, report: Callable[[int], None], largest: int | None = None
) -> Path:
    """Download the wheel of ``package`` or ``package==version`` into ``folder``; raises HubError.

    A wheel that is there is complete and not downloaded again. ``report`` is called with the bytes
    that have arrived. The download of a wheel of more than ``largest`` bytes is stopped.
    """
    for wheel in (folder / WHEELS).glob("*.whl"):
        return wheel
    if importlib.util.find_spec("pip") is None:
        raise HubError(
            "pip is missing in this Python environment: install it with python -m ensurepip."
        )
    scratch = folder / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
    (scratch / _DONE).mkdir(parents=True)
    try:
        with _running(requirement, scratch) as (pip, output):
            _watch(pip, folder, report, largest or sys.maxsize)
            output_text = output.result()
        return _whole(pip.returncode, requirement, folder, output_text)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def arrived(folder: Path) -> int:
    """Bytes of the wheel that have arrived in ``folder``."""
    sizes = [0]  # pip copies the wheel in the end
    with suppress(FileNotFoundError):  # pip deletes folders that are walked here
        sizes.extend(path.stat().st_size for path in (folder / SCRATCH).rglob("*.whl"))
    return max(sizes)


def _whole(status: int, requirement: str, folder: Path, output_text: str) -> Path:
    """Rename the finished wheel into its folder; raises HubError if pip has not downloaded it."""
    found = list((folder / SCRATCH / _DONE).glob("*.whl"))
    if status or len(found) != 1:
        raise _problem(requirement, output_text)
    path = folder / WHEELS / found[0].name
    path.parent.mkdir(exist_ok=True)
    found[0].replace(path)
    return path


@contextmanager
def _running(
    requirement: str, scratch: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Future[str]]]:
    """Start pip, and kill it at the end of the block; its scratch files stay on this disk."""
    script = str(Path(__file__).with_name("pip_child.py"))
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    options += ["--disable-pip-version-check", "--dest", "."]
    popen = subprocess.Popen(
        # Only -vv prints why an index gave nothing.
        [sys.executable, "-P", script, "download", "-vv", *options, requirement],
        cwd=scratch / _DONE,  # a requirement cannot be the name of a file there
        env={**os.environ, "TMPDIR": str(scratch), "PIP_QUIET": "0", "PIP_NO_COLOR": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with popen, ThreadPoolExecutor(1) as reader:
        try:
            yield popen, reader.submit(_read, popen.stdout)
        finally:
            popen.kill()


def _read(output: IO[bytes] | None) -> str:
    """Read the output and keep its beginning. It uses no file, because the disk may be full."""
    kept = b""
    while output and (block := output.read1(2**16)):  # type: ignore[attr-defined]
        kept += block[: _LONGEST_LOG - len(kept)]
    return kept.decode(errors="replace")


def _watch(
    pip: subprocess.Popen[bytes], folder: Path, report: Callable[[int], None], largest: int
) -> None:
    """Report the bytes of the wheel until pip has ended."""
    most = 0
    while pip.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            pip.wait(_POLL_SECONDS)
        most = max(most, arrived(folder))
        report(most)
        if most > largest:
            raise Damaged("The package is larger than it should be: it was not taken.")


def _problem(requirement: str, output_text: str) -> HubError:
    for phrases, kind, sentence in _PROBLEMS:
        if any(phrase in output_text for phrase in phrases):
            return kind(sentence.format(requirement))
    return HubUnreachable(
        f"pip cannot download {requirement}; to see why: "
        f".venv/bin/python -m pip download --no-deps {requirement}"
    )
