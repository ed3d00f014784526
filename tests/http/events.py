"""Reads server-sent events off an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple


class SentEvent(NamedTuple):
    name: str
    id: str
    data: dict[str, Any]


def parsed(text: str) -> list[SentEvent]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [_event(block.split("\n")) for block in blocks]


def _event(lines: Iterable[str]) -> SentEvent:
    fields = dict(line.split(": ", 1) for line in lines)
    assert fields.keys() == {"event", "id", "data"}
    return SentEvent(fields["event"], fields["id"], json.loads(fields["data"]))
