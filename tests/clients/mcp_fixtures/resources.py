"""The resources: a text, a picture, one that can be subscribed to, and a template."""

from __future__ import annotations

import json
import re

import mcp_types as types
from mcp.shared.exceptions import MCPError

from app.mcp.call import Context
from tests.clients.mcp_fixtures.content import PNG

TEXT, BINARY, WATCHED = "test://static-text", "test://static-binary", "test://watched-resource"
TEMPLATE = "test://template/{id}/data"
MADE = re.compile(r"test://template/(\w+)/data")
MIME_TYPES = {TEXT: "text/plain", BINARY: "image/png", WATCHED: "text/plain"}


async def list_resources(
    _: Context, __: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    """All of them."""
    resources = [
        types.Resource(uri=uri, name=uri.rpartition("/")[2], mime_type=mime)
        for uri, mime in MIME_TYPES.items()
    ]
    return types.ListResourcesResult(resources=resources)


async def list_templates(
    _: Context, __: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    """The only one."""
    template = types.ResourceTemplate(name="data", uri_template=TEMPLATE)
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    """One of them."""
    return types.ReadResourceResult(contents=[_contents(params.uri)])


def _contents(uri: str) -> types.TextResourceContents | types.BlobResourceContents:
    mime = MIME_TYPES.get(uri)
    if uri == BINARY:
        return types.BlobResourceContents(uri=uri, mime_type=mime, blob=PNG)
    if mime:
        return types.TextResourceContents(uri=uri, mime_type=mime, text="A text.")
    if found := MADE.fullmatch(uri):
        made = json.dumps({"id": found[1]})
        return types.TextResourceContents(uri=uri, mime_type="application/json", text=made)
    raise MCPError(types.INVALID_PARAMS, f"There is no resource {uri}.", {"uri": uri})


async def subscribe(_: Context, __: types.SubscribeRequestParams) -> types.EmptyResult:
    """Accept it: nothing here changes."""
    return types.EmptyResult()


async def unsubscribe(_: Context, __: types.UnsubscribeRequestParams) -> types.EmptyResult:
    """Accept it too."""
    return types.EmptyResult()
