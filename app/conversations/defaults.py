"""Defaults of a conversation: the model, template and system text for requests that name none.

They are stored with the conversation as a JSON object. The template is a copy, so later edits of
the template do not change it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.chat.request import UNSET, TurnRequest
from app.conversations.services import ConversationServices
from app.conversations.store import conversations
from app.templates.rendering import CompiledTemplate, compile_template
from app.templates.template import Template

Defaults = Mapping[str, Any]
"""``model``, ``template`` (its body), ``variables``, ``system``; empty for a new conversation."""


METADATA = "metadata"
"""Texts of clients about a conversation, stored beside its defaults; no turn reads them."""


def without_metadata(setup: Defaults) -> dict[str, Any]:
    """The defaults alone."""
    return {name: value for name, value in setup.items() if name != METADATA}


async def read_defaults(
    services: ConversationServices, owner: str, conversation_id: str | None
) -> Defaults:
    """The defaults of a conversation; raises ConversationNotFound."""
    if conversation_id is None:
        return {}
    found = await services.database.read(conversations.read_row, owner, conversation_id)
    return found.setup


async def find_request_template(
    services: ConversationServices, owner: str, request: TurnRequest, defaults: Defaults
) -> CompiledTemplate | None:
    """The template of the request or of the conversation; raises TemplateNotFound."""
    if isinstance(request.template, str):
        return await services.find_template(owner, request.template)
    if request.template is None or defaults.get("template") is None:
        return None
    return await asyncio.to_thread(compile_template, Template.of(defaults["template"]))


def fill_in_defaults(
    request: TurnRequest, defaults: Defaults, template: CompiledTemplate | None
) -> TurnRequest:
    """The request with the conversation's defaults filled in.

    None for the template or the system text turns the default off.
    """
    variables = request.variables
    if template and request.template is UNSET:
        variables = {**defaults.get("variables", {}), **variables}
    return replace(
        request,
        model=request.model or defaults.get("model"),
        system=defaults.get("system") if request.system is UNSET else request.system,
        variables=variables,
    )


def changed_defaults(
    completed: TurnRequest, defaults: Defaults, template: CompiledTemplate | None
) -> dict[str, Any]:
    """The defaults that this turn changes; another turn may change the others meanwhile."""
    now = {
        "model": completed.model,
        "template": template.template.body if template else None,
        "variables": dict(completed.variables),
        "system": completed.system,
    }
    return {key: value for key, value in now.items() if (key, value) not in defaults.items()}
