"""The tools that an answer may call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.chat.parsers.pieces import CallStart
from app.provider.types import Tool


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
        """The JSON Schema of a parameter; None where the tool describes none of that name."""
        try:
            schema = json.loads(self._tools[name].parameters)
        except (ValueError, RecursionError):
            return None
        properties = schema.get("properties") if isinstance(schema, dict) else None
        return properties.get(key) if isinstance(properties, dict) else None
