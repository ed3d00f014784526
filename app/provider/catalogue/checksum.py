"""The SHA-256 of a model, computed once for each state of its files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from app.provider.card import ModelCard
from app.provider.catalogue.parts import parts
from app.provider.headers.fields import section, text
from app.provider.headers.files import open_regular, optional_json

_FILE = ".fingerprints.json"
"""Existing folders have it; another name would compute every checksum again."""
_BLOCK = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_known: dict[Path, tuple[str, str]] = {}
"""Stamp and SHA-256 by path."""

_lock = Lock()


def checksum(card: ModelCard) -> str:
    """The SHA-256 in hexadecimal; takes seconds for each gigabyte, so call it in a thread.

    For one file it is that file's. For a folder or a split model it is the SHA-256 of a text with
    one line for each file, "<SHA-256>  <path>", as ``sha256sum`` prints them, sorted by path.
    Computed checksums are kept in memory and in the models folder. Empty for a model without files.
    Raises OSError.
    """
    if not card.stamp or card.remote:
        return ""
    with _lock:
        stamp, found = _known.get(card.path, ("", ""))
        found = found if stamp == card.stamp else _stored(card)
    found = found or _computed(card)
    with _lock:
        if _known.get(card.path) != (card.stamp, found):
            _known[card.path] = card.stamp, found
            _store(card, found)
    return found


def _computed(card: ModelCard) -> str:
    if _SHA256.fullmatch(card.sha256):
        return card.sha256
    names = sorted(_files(card.path))
    if names == [card.path.name] and card.path.is_file():
        return _digest(card.path)
    folder = card.path if card.path.is_dir() else card.path.parent
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _files(path: Path) -> Iterator[str]:
    """Paths of a model's files, relative to its folder."""
    if not path.is_dir():
        yield from parts(path.name)
        return
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = Path(parent).relative_to(path)
        yield from (str(inner / name) for name in names if not name.startswith("."))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _stored(card: ModelCard) -> str:
    entry = section(optional_json(card.found_in / _FILE), _name(card))
    sha256 = text(entry, "sha256")
    sound = text(entry, "stamp") == card.stamp and _SHA256.fullmatch(sha256)
    return sha256 if sound else ""


def _store(card: ModelCard, sha256: str) -> None:
    """Store the checksum for the next start; in a read-only folder it is computed again."""
    path = card.found_in / _FILE
    known = optional_json(path)
    entries = {
        name: known[name] for name in known if os.path.lexists(os.path.join(path.parent, name))
    }
    entries[_name(card)] = {"stamp": card.stamp, "sha256": sha256}
    new = path.with_name(f"{_FILE}.{os.getpid()}")
    with suppress(OSError):
        try:
            new.write_text(json.dumps(entries, indent=1), encoding="utf-8")
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def _name(card: ModelCard) -> str:
    """A model's path, relative to the models folder."""
    return os.path.relpath(card.path, card.found_in)
