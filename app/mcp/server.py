"""The server of the official SDK, with everything that it can be asked for.

Imported with the first request, since the SDK takes longer to import than the rest of the start.
"""

from __future__ import annotations

from typing import Any

from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server

from app.mcp import identity
from app.mcp.cancellation import Cancellation, OtherProcesses
from app.mcp.completion import Completer
from app.mcp.handler_errors import explain
from app.mcp.prompts import get_prompt, list_prompts
from app.mcp.resources import Resources, templates
from app.mcp.tools.table import call_tool, input_schema, list_tools
from app.reference.documents import Documents

KEPT_BY_ALL = CacheHint(identity.HOUR, "public")


def make_server(documents: Documents, others: OtherProcesses | None = None) -> Server[Any]:
    """The server, with ``documents`` among its resources, and ``others`` beside this process."""
    resources = Resources(documents)
    server: Server[Any] = Server(
        identity.NAME,
        version=identity.VERSION,
        title=identity.TITLE,
        instructions=identity.INSTRUCTIONS,
        cache_hints={
            "server/discover": KEPT_BY_ALL,
            "tools/list": KEPT_BY_ALL,
            "resources/templates/list": KEPT_BY_ALL,
        },
        get_tool_input_schema=input_schema,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=resources.list,
        on_list_resource_templates=templates,
        on_read_resource=resources.read,
        on_completion=Completer(documents).complete,
    )
    server.middleware = [Cancellation(others), explain]
    return server
