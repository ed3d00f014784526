"""What a conversation keeps to until a request says otherwise: model, template, system text."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import Field

from app.conversations.services import Desk
from app.templates.rendering import CompiledTemplate, compiled
from app.templates.user_templates import resolved
from app.v3.models.template import Template, Value
from app.v4.models.chat import ChatRequest
from app.web.schema import WireModel


class Setup(WireModel):
    """Kept with a conversation. The template is a copy: later edits of it change nothing here."""

    model: str | None = None
    template: Template | None = None
    variables: dict[str, Value] = Field(default_factory=dict)
    system: str | None = None

    def stored(self) -> dict[str, Any]:
        """As the database keeps it."""
        return self.model_dump(mode="json", exclude_unset=True)

    def changes(self, kept: Setup) -> dict[str, Any]:
        """What is to be stored over ``kept``; what a turn did not touch, another may have."""
        before = kept.stored().items()
        return {key: value for key, value in self.stored().items() if (key, value) not in before}


async def agreed(
    desk: Desk, owner: str, request: ChatRequest, kept: Setup
) -> tuple[Setup, ChatRequest, CompiledTemplate | None]:
    """What holds for this turn and those after it; the request with all of it filled in.

    Null for the template or the system text takes it away. Raises TemplateNotFound.
    """
    given = request.model_fields_set
    template = await _template(desk, owner, request, kept)
    variables = request.variables
    if template and "template" not in given:
        variables = kept.variables | variables
    system = request.system if "system" in given else kept.system
    setup = Setup(
        model=request.model or kept.model,
        template=template.template if template else None,
        variables=variables,
        system=system,
    )
    filled: dict[str, Any] = {"system": system, "model": setup.model}
    if template:
        filled |= {"template": template.template.name, "variables": variables}
    return setup, request.model_copy(update=filled), template


async def _template(
    desk: Desk, owner: str, request: ChatRequest, kept: Setup
) -> CompiledTemplate | None:
    if request.template is not None:
        return await resolved(desk.database, desk.library, owner, request.template)
    if "template" in request.model_fields_set or kept.template is None:
        return None
    return await asyncio.to_thread(compiled, kept.template)
