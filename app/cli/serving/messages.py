"""What the parent tells a worker when it starts it, and what the worker reports."""

from __future__ import annotations

from typing import Literal

import msgspec

Progress = Literal["listening", "loaded", "says", "failed"]
"""How far a worker is; ``says`` is a line about the default model, ``failed`` ends it."""


class Assignment(msgspec.Struct, frozen=True):
    """What a worker is to do: it is one of ``size``; ``instance`` names their model server.

    ``settings`` are those of the parent, as JSON: a file that has changed since counts for nobody,
    or for all. ``given``: the settings that were not left at their defaults.
    """

    size: int
    instance: str
    settings: str
    given: list[str]


class Report(msgspec.Struct, frozen=True):
    """One line from a worker; ``text`` is the sentence of ``says`` and ``failed``."""

    progress: Progress
    text: str = ""


def encode(value: Assignment | Report) -> bytes:
    """As one line of JSON, without its end."""
    return msgspec.json.encode(value)


def read_assignment(line: bytes) -> Assignment:
    """The reverse of ``encode``; raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Assignment)


def read_report(line: bytes) -> Report:
    """The reverse of ``encode``; raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Report)
