"""Names of prompt templates for ``model@template``."""

from __future__ import annotations

from app.conversations.services import ConversationServices
from app.templates.template import Template
from app.templates.user_templates import UserTemplates

MOST_LISTED = 100


async def template_names(services: ConversationServices, owner: str) -> list[str]:
    """Templates that can be used without setting variables, by name."""
    templates = UserTemplates(services.library, owner)
    found = await services.database.read(templates.page, MOST_LISTED, None)
    known = (Template.of(each.body) for each in found)
    return [template.name for template in known if not _needs_variables(template)]


def _needs_variables(template: Template) -> bool:
    return any(variable.required for variable in template.variables.values())
