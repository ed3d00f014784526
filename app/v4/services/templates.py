"""Prompt templates of an owner, from and to v4's wire models."""

from __future__ import annotations

from app.conversations.services import ConversationServices
from app.errors import InvalidRequest
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.tables import Template as Row
from app.storage.timestamps import isoformat
from app.templates.template import Template
from app.templates.user_templates import ActiveTemplate, UserTemplates
from app.v3.models.template import Template as TemplateBody
from app.v3.services import templates as v3
from app.v4.models.templates import (
    CurrentTemplate,
    TemplateEdit,
    TemplatePage,
    TemplateVersion,
    VersionPage,
)

NAMES = ("templates",)
VERSIONS = ("template versions",)
"""Scopes of the cursors; the versions of each name are a list of their own."""


async def list_templates(
    services: ConversationServices, owner: str, limit: int, cursor: str | None
) -> TemplatePage:
    """A page of templates, by name; raises InvalidRequest."""
    after = cursors.decode(cursor, *NAMES)
    templates = UserTemplates(services.library, owner)
    found = await services.database.read(templates.page, limit + 1, after.id if after else None)
    shown = [current_template(each) for each in found[:limit]]
    more = len(found) > limit
    return TemplatePage(
        templates=shown,
        next_cursor=cursors.encode(CursorKey(0, shown[-1].name), *NAMES) if more else None,
    )


async def list_versions(
    services: ConversationServices, owner: str, name: str, limit: int, cursor: str | None
) -> VersionPage:
    """A page of versions of a name, newest first; raises InvalidRequest, TemplateNotFound."""
    scope = (*VERSIONS, name)
    before = cursors.decode(cursor, *scope)
    templates = UserTemplates(services.library, owner)
    at = before.at if before else None
    rows = await services.database.read(templates.versions, name, limit + 1, at)
    last = CursorKey(rows[limit - 1].version, "") if len(rows) > limit else None
    return VersionPage(
        versions=[_version(row) for row in rows[:limit]],
        next_cursor=cursors.encode(last, *scope) if last else None,
    )


def current_template(template: ActiveTemplate) -> CurrentTemplate:
    """The active template of a name."""
    at = template.updated_at
    return CurrentTemplate(
        **template.body,
        version=template.version,
        source=template.source,
        updated_at=None if at is None else isoformat(at),
    )


def edited_template(name: str, edit: TemplateEdit) -> Template:
    """The template of an edit; raises InvalidRequest if its body has another name."""
    if "name" in edit.model_fields_set and edit.name != name:
        raise InvalidRequest("/name", f"The address says {name!r}: a template keeps its name.")
    return v3.template(edit.model_copy(update={"name": name}))


def _version(row: Row) -> TemplateVersion:
    return TemplateVersion(
        version=row.version,
        created_at=isoformat(row.created_at),
        deleted=row.body is None,
        template=None if row.body is None else TemplateBody.model_validate(row.body),
    )
