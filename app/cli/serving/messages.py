"""What the parent tells a worker when it starts it, and what the worker reports."""

from __future__ import annotations

from typing import Literal

import msgspec

Progress = Literal["listening", "loaded", "says", "failed"]
"""How far a worker is; ``says`` is a line about the default model, ``failed`` ends it."""


class Assignment(msgspec.Struct, frozen=True):
    """The place of a worker: ``number`` of ``size``; ``instance`` names their model server."""

    number: int
    size: int
    instance: str


class Report(msgspec.Struct, frozen=True):
    """One line from a worker; ``text`` is the sentence of ``says`` and ``failed``."""

    progress: Progress
    text: str = ""


def encode(value: Assignment | Report) -> bytes:
    """As one line of JSON, without its end."""
    return msgspec.json.encode(value)


def read_assignment(text: str) -> Assignment:
    """The reverse of ``encode``; raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Assignment)


def read_report(line: bytes) -> Report:
    """The reverse of ``encode``; raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Report)
