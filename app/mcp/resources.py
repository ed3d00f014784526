"""Resources: the owner's conversations, and the API documents of this server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import mcp_types as types
from mcp.shared.exceptions import MCPError

from app.conversations import markdown
from app.conversations.errors import ConversationNotFound
from app.conversations.store import conversations as store
from app.conversations.store import listing
from app.mcp.call import Call, Context
from app.mcp.identity import VERSIONS
from app.mcp.paging import PAGE, began_after
from app.mcp.tools.models import model_facts
from app.provider.errors import ModelNotFound
from app.reference.documents import Documents
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.templates.errors import TemplateNotFound

SCOPE = ("mcp", "resources")
JSON, MARKDOWN = "application/json", "text/markdown"

CONVERSATION = "sllm://conversations/{conversation_id}"
DOCUMENT = "sllm://api/{document}"
MODEL = "sllm://models/{model}"
TEMPLATE = "sllm://templates/{template}"

NOT_FOUND_BEFORE = -32002
"""The code for a missing resource in the revisions before 2026-07-28."""

URI = re.compile(r"sllm://(conversations|api|models|templates)/([^/?#]+)")


class Missing(Exception):
    """There is no such resource."""


class Resources:
    """Lists and reads them; ``documents`` are the API documents."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self._read: dict[str, Callable[[Call, str], Awaitable[tuple[str, str]]]] = {
            "conversations": _conversation,
            "models": _model,
            "templates": _template,
            "api": self._document,
        }

    async def list(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """API documents, then conversations, the last used first."""
        call = Call.of(ctx)
        before = began_after(params, *SCOPE, call.owner)
        heads = await call.database.read(listing.list_conversations, call.owner, PAGE + 1, before)
        first = [] if before else list(map(_listed_document, self.documents))
        page = heads[:PAGE]
        last = CursorKey(page[-1].updated_at, page[-1].id) if len(heads) > PAGE else None
        return types.ListResourcesResult(
            resources=[*first, *(_listed(head.id, head.title) for head in page)],
            next_cursor=cursors.encode(last, *SCOPE, call.owner) if last else None,
        )

    async def read(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """One of them, as text."""
        call, uri = Call.of(ctx), str(params.uri)
        found = URI.fullmatch(uri)
        try:
            if found is None:
                raise Missing
            mime, text = await self._read[found[1]](call, unquote(found[2]))
        except (Missing, ConversationNotFound, ModelNotFound, TemplateNotFound) as error:
            code = types.INVALID_PARAMS if call.protocol in VERSIONS else NOT_FOUND_BEFORE
            raise MCPError(code, f"There is no resource {uri[:200]}.", {"uri": uri}) from error
        contents = types.TextResourceContents(uri=uri, mime_type=mime, text=text)
        return types.ReadResourceResult(contents=[contents])

    async def _document(self, _: Call, name: str) -> tuple[str, str]:
        make = self.documents.get(name.removesuffix(".json"))
        if make is None:
            raise Missing
        return JSON, await asyncio.to_thread(lambda: json.dumps(make(), ensure_ascii=False))


async def templates(
    _: Context, __: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    """The shapes of all addresses."""
    shapes = (
        ("conversation", CONVERSATION, "A stored conversation, to read.", MARKDOWN),
        ("document", DOCUMENT, "The OpenAPI document of a part of this server.", JSON),
        ("model", MODEL, "What is known of a model.", JSON),
        ("template", TEMPLATE, "A prompt template.", JSON),
    )
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(name=name, uri_template=uri, description=text, mime_type=mime)
            for name, uri, text, mime in shapes
        ]
    )


def _listed(conversation_id: str, title: str) -> types.Resource:
    uri = CONVERSATION.format(conversation_id=conversation_id)
    return types.Resource(name=conversation_id, title=title, uri=uri, mime_type=MARKDOWN)


def _listed_document(name: str) -> types.Resource:
    uri = DOCUMENT.format(document=f"{name}.json")
    return types.Resource(name=f"{name}.json", title=f"API {name}", uri=uri, mime_type=JSON)


async def _conversation(call: Call, conversation_id: str) -> tuple[str, str]:
    found, branch = await call.database.scan(store.branch, call.owner, conversation_id, None, None)
    return MARKDOWN, await asyncio.to_thread(markdown.document, found, branch)


async def _model(call: Call, name: str) -> tuple[str, str]:
    card = await call.pool.find(name)
    return JSON, json.dumps(model_facts(call.pool, card), ensure_ascii=False)


async def _template(call: Call, name: str) -> tuple[str, str]:
    found = await call.find_template(name)
    return JSON, json.dumps(found.template.body, ensure_ascii=False)
