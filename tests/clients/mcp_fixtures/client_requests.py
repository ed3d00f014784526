"""What a server may ask of its client: a form for the user, an answer of a model, its folders."""

from __future__ import annotations

from typing import Any

import mcp_types as types

ROOTS = types.ListRootsRequest()

CAPABILITIES = {
    "elicitation/create": types.ClientCapabilities(elicitation=types.ElicitationCapability()),
    "sampling/createMessage": types.ClientCapabilities(sampling=types.SamplingCapability()),
    "roots/list": types.ClientCapabilities(roots=types.RootsCapability()),
}
"""What the client has to declare for each."""


def form(message: str, **fields: dict[str, Any]) -> types.ElicitRequest:
    """A form; ``fields`` are their schemas."""
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    params = types.ElicitRequestFormParams(message=message, requested_schema=schema)
    return types.ElicitRequest(params=params)


def model_answer(prompt: str) -> types.CreateMessageRequest:
    """What a model of the client answers to a prompt."""
    content = types.TextContent(type="text", text=prompt)
    message = types.SamplingMessage(role="user", content=content)
    params = types.CreateMessageRequestParams(messages=[message], max_tokens=100)
    return types.CreateMessageRequest(params=params)
