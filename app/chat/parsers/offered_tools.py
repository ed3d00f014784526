"""The tools that an answer may call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.chat.parsers.pieces import CallStart
from app.provider.types import Tool

_MOST_REFERENCES = 16


class OfferedTools:
    """The tools of a prompt; without ``parallel`` an answer calls one of them once.

    The call of a tool that is not offered is text.
    """

    def __init__(self, tools: Sequence[Tool], *, parallel: bool = True) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._parallel = parallel
        self._called = False

    @property
    def offered(self) -> bool:
        """Whether there are any."""
        return bool(self._tools)

    def offers(self, name: str) -> bool:
        """Whether the answer may call the tool now."""
        return name in self._tools and (self._parallel or not self._called)

    def start(self, name: str) -> CallStart:
        """Note that a call begins."""
        self._called = True
        return CallStart(name)

    def parameter(self, name: str, key: str) -> Any:
        """The JSON Schema of a parameter, and of its choices, without references.

        None where the tool describes no parameter of that name.
        """
        try:
            root = json.loads(self._tools[name].parameters)
        except (ValueError, RecursionError):
            return None
        properties = root.get("properties") if isinstance(root, dict) else None
        found = _resolved(properties.get(key), root) if isinstance(properties, dict) else None
        if not isinstance(found, dict):
            return None
        choices = ((word, found.get(word)) for word in ("anyOf", "oneOf"))
        lists = {
            word: [_resolved(o, root) for o in c] for word, c in choices if isinstance(c, list)
        }
        return found | lists


def _resolved(schema: Any, root: dict[str, Any]) -> Any:
    """What a schema refers to; None where that leads nowhere."""
    for _ in range(_MOST_REFERENCES):
        where = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(where, str):
            return schema
        schema = root if where.startswith("#") else None
        for step in where.split("/")[1:]:
            schema = schema.get(step) if isinstance(schema, dict) else None
    return None
