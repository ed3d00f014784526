"""Prompt templates of an owner: the own ones shadow those that come with the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.storage.database import Database
from app.storage.tables import Template as Row
from app.templates import store
from app.templates.errors import TemplateNotFound
from app.templates.library import TemplateLibrary
from app.templates.rendering import CompiledTemplate, compiled
from app.v3.models.template import Template
from app.v4.models.templates import CurrentTemplate, TemplatePage, TemplateVersion, VersionPage
from app.web.paging import Place, cursor
from app.web.timestamps import shown

NAMES = ("templates",)
VERSIONS = ("template versions",)
"""Which lists cursors belong to; the second is one for each name."""

LAST_VERSION = 2**31 - 1
"""The column holds no greater number."""


async def resolved(
    database: Database, library: TemplateLibrary, owner: str, name: str
) -> CompiledTemplate:
    """The template that this owner means by ``name``; raises TemplateNotFound."""
    own = await database.read(store.newest, owner, name)
    if own is None or own.body is None:
        return library.get(name)
    return await asyncio.to_thread(compiled, Template.model_validate(own.body))


@dataclass(frozen=True, slots=True)
class Held:
    """What stands under a name: the owner's last version, and what it means now (None: nothing)."""

    name: str
    last: Row | None
    current: CurrentTemplate | None

    @property
    def own(self) -> bool:
        """Whether the name means a template of the owner's own."""
        return self.current is not None and self.current.source == "own"

    @property
    def etag(self) -> str | None:
        """Of what the name means now."""
        return self.current.etag if self.current else None


@dataclass(frozen=True, slots=True)
class Shelf:
    """All templates of one owner. Its methods run inside a transaction."""

    library: TemplateLibrary
    owner: str

    def held(self, session: Session, name: str) -> Held:
        """Look up a name."""
        last = store.newest(session, self.owner, name)
        if last and last.body is not None:
            return Held(name, last, own_template(last, last.body))
        return Held(name, last, self.built_in(name))

    def recorded(self, session: Session, name: str) -> Held:
        """Look it up; raises TemplateNotFound where there never was anything."""
        held = self.held(session, name)
        if held.last is None and held.current is None:
            raise TemplateNotFound(name)
        return held

    def built_in(self, name: str) -> CurrentTemplate | None:
        """The one of this name that comes with the server."""
        try:
            return built_in_template(self.library.get(name).template)
        except TemplateNotFound:
            return None

    def current(self, session: Session, name: str) -> CurrentTemplate:
        """What the name means now; raises TemplateNotFound."""
        held = self.held(session, name)
        if held.current is None:
            raise TemplateNotFound(name)
        return held.current

    def page(self, session: Session, limit: int, seen: Place | None) -> TemplatePage:
        """A part of the list, by name, after what was ``seen`` last."""
        after = seen.id if seen else None
        rows = store.in_force(session, self.owner, limit + 1, after)
        # A built-in that gets onto this page is shadowed by one of these rows or by none.
        found = {each.name: built_in_template(each) for each in self.library.all()}
        found |= {row.name: own_template(row, row.body) for row in rows if row.body is not None}
        names = sorted(name for name in found if after is None or name > after)
        return TemplatePage(
            templates=[found[name] for name in names[:limit]],
            next_cursor=cursor(Place(0, names[limit - 1]), *NAMES) if len(names) > limit else None,
        )

    def versions(self, session: Session, name: str, limit: int, seen: Place | None) -> VersionPage:
        """A part of the history of a name, newest first, before what was ``seen`` last."""
        self.recorded(session, name)
        before = min(seen.at, LAST_VERSION) if seen else None
        rows = store.versions(session, self.owner, name, limit + 1, before)
        return VersionPage(
            versions=[_version(row) for row in rows[:limit]],
            next_cursor=_cursor(rows[limit - 1]) if len(rows) > limit else None,
        )


def own_template(row: Row, body: dict[str, Any]) -> CurrentTemplate:
    """A template of the owner's own, as it is told."""
    return CurrentTemplate(
        **body, version=row.version, source="own", updated_at=shown(row.created_at)
    )


def built_in_template(template: Template) -> CurrentTemplate:
    """One that comes with the server, as it is told."""
    body = template.model_dump(exclude_unset=True)
    return CurrentTemplate(**body, version=0, source="built-in", updated_at=None)


def _version(row: Row) -> TemplateVersion:
    return TemplateVersion(
        version=row.version,
        created_at=shown(row.created_at),
        deleted=row.body is None,
        template=None if row.body is None else Template.model_validate(row.body),
    )


def _cursor(row: Row) -> str:
    return cursor(Place(row.version, ""), *VERSIONS, row.name)
