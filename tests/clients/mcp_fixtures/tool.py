"""A tool of the fixture server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import mcp_types as types

from app.mcp.call import Context

ToolAnswer = types.CallToolResult | types.InputRequiredResult
Run = Callable[[Context, types.CallToolRequestParams], Awaitable[ToolAnswer]]


@dataclass(frozen=True)
class Tool:
    """What it is called, what it does, and the names of its arguments, which are texts."""

    name: str
    description: str
    run: Run
    arguments: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """That of its arguments."""
        texts = {name: {"type": "string"} for name in self.arguments}
        return {"type": "object", "properties": texts, "required": list(self.arguments)}

    def listed(self) -> types.Tool:
        """What clients are shown."""
        return types.Tool(name=self.name, description=self.description, input_schema=self.schema())
