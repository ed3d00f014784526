"""JSON values of a request as text."""

from __future__ import annotations

import json

from app.errors import InvalidRequest


def json_text(value: object, pointer: str) -> str:
    """The value as JSON; raises InvalidRequest where it is nested too deeply to be written."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise InvalidRequest(pointer, "is nested too deeply") from None
