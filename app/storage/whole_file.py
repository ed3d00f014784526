"""Makes a file appear whole or not at all, and never in the place of another one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path, mode: int = 0o600) -> Iterator[Path]:
    """Give a temporary file beside the target, which takes its name at the end of the context.

    Raises FileExistsError if the target exists, or another OSError. An error leaves neither file.
    """
    descriptor, name = tempfile.mkstemp(".part", f"{target.name}.", target.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        part.chmod(mode)
        yield part
        sync(part)
        _publish(part, target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _publish(part: Path, target: Path) -> None:
    try:
        os.link(part, target)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from error
        part.rename(target)


def sync(path: Path) -> None:
    """Wait until the disk has what was written to a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
