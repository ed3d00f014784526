"""JSON values of a request as text."""

from __future__ import annotations

import json

from app.errors import InvalidRequest
from app.storage.plain_text import fault_of


def json_text(value: object, pointer: str) -> str:
    """The value as JSON; raises InvalidRequest for what cannot be written as JSON in UTF-8."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise InvalidRequest(pointer, "is nested too deeply") from None
    except ValueError:
        raise InvalidRequest(pointer, "has a number that JSON does not know") from None
    if fault := fault_of(text):
        raise InvalidRequest(pointer, fault)
    return text
