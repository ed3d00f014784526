"""The copies of the database that updates make."""

from __future__ import annotations

import glob
from contextlib import suppress
from pathlib import Path

from app.storage.backup import END, back_up, name_without_time, new_name
from app.storage.database import open_engine, parse_url
from app.storage.restore import run_alone

LABEL = "update"
KEPT = 3


def make(url: str) -> Path:
    """Copy the database; raises DatabaseRefused if that fails or a server uses it."""
    engine = open_engine(parse_url(url))
    try:
        run_alone(engine, lambda: None)
        return back_up(url, new_name(engine, LABEL))
    finally:
        engine.dispose()


def remove_old(url: str) -> None:
    """Keep the newest copies only."""
    stem = name_without_time(open_engine(parse_url(url)), LABEL)
    for copy in sorted(stem.parent.glob(f"{glob.escape(stem.name)}.*{END}"))[:-KEPT]:
        with suppress(OSError):
            copy.unlink()
