"""What a conversation keeps to until a request says otherwise: model, template, system text.

It is kept with the conversation as a JSON object. The template is a copy: later edits of it change
nothing here.
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
from app.templates.user_templates import find_template

Defaults = Mapping[str, Any]
"""``model``, ``template`` (its body), ``variables``, ``system``; empty for a new conversation."""


async def read_defaults(
    services: ConversationServices, owner: str, conversation_id: str | None
) -> Defaults:
    """What a conversation keeps to; raises ConversationNotFound."""
    if conversation_id is None:
        return {}
    found = await services.database.read(conversations.find_owned, owner, conversation_id)
    return found.setup


async def find_request_template(
    services: ConversationServices, owner: str, request: TurnRequest, kept: Defaults
) -> CompiledTemplate | None:
    """The template that holds for the request; raises TemplateNotFound."""
    if isinstance(request.template, str):
        return await find_template(services.database, services.library, owner, request.template)
    if request.template is None or kept.get("template") is None:
        return None
    return await asyncio.to_thread(compile_template, Template.of(kept["template"]))


def fill_in_defaults(
    request: TurnRequest, kept: Defaults, template: CompiledTemplate | None
) -> TurnRequest:
    """The request with what it does not name filled in.

    None for the template or the system text takes away what the conversation kept.
    """
    variables = request.variables
    if template and request.template is UNSET:
        variables = {**kept.get("variables", {}), **variables}
    return replace(
        request,
        model=request.model or kept.get("model"),
        system=kept.get("system") if request.system is UNSET else request.system,
        variables=variables,
    )


def changed_defaults(
    completed: TurnRequest, kept: Defaults, template: CompiledTemplate | None
) -> dict[str, Any]:
    """What is to be stored over ``kept``; what a turn did not touch, another may have."""
    now = {
        "model": completed.model,
        "template": template.template.body if template else None,
        "variables": dict(completed.variables),
        "system": completed.system,
    }
    return {key: value for key, value in now.items() if (key, value) not in kept.items()}
