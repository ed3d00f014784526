"""Edits of prompt templates: each adds a version and takes none away.

A deletion is a version without a body. Of two edits at once the database lets one have the next
number; the other looks at what is there now, and begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.conversations.services import Desk
from app.errors import InvalidRequest
from app.templates import store
from app.templates.errors import (
    TemplateBuiltIn,
    TemplateExists,
    TemplateNotFound,
    TemplateVersionNotFound,
    TooManyTemplates,
)
from app.templates.rendering import compiled
from app.templates.user_templates import Held, Shelf, own_template
from app.v3.models.template import Template
from app.v4.models.templates import CurrentTemplate, TemplateEdit
from app.web.etags import ETags

MOST = 1000
"""Own templates of one owner, so that the list has an end."""

ATTEMPTS = 1000
"""Of one edit; each that fails means that another one came through."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Editor:
    """Changes the templates of one owner. ``known`` is If-Match: what the client has seen."""

    desk: Desk
    owner: str
    known: ETags | None = None

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.desk.library, self.owner)

    async def create(self, template: Template) -> CurrentTemplate:
        """Add one; raises InvalidRequest, TemplateExists, TooManyTemplates."""
        await asyncio.to_thread(compiled, template)
        return await self._write(self._create, template)

    def _create(self, session: Session, template: Template) -> CurrentTemplate:
        held = self._shelf.held(session, template.name)
        if held.own:
            raise TemplateExists(template.name)
        return self._put(session, held, _stored(template))

    async def replace(self, name: str, edit: TemplateEdit) -> CurrentTemplate:
        """Put another in its place; raises also TemplateNotFound, PreconditionFailed."""
        if "name" in edit.model_fields_set and edit.name != name:
            raise InvalidRequest("/name", f"The address says {name!r}: a template keeps its name.")
        template = edit.model_copy(update={"name": name})
        await asyncio.to_thread(compiled, template)
        return await self._write(self._replace, template)

    def _replace(self, session: Session, template: Template) -> CurrentTemplate:
        held = self._present(session, template.name)
        self._require_known(held)
        return self._put(session, held, _stored(template))

    async def remove(self, name: str) -> None:
        """Delete an own one; raises TemplateNotFound, TemplateBuiltIn, PreconditionFailed."""
        await self._write(self._remove, name)

    def _remove(self, session: Session, name: str) -> None:
        held = self._present(session, name)
        if not held.own:
            raise TemplateBuiltIn(name)
        self._require_known(held)
        store.add(session, self.owner, name, held.last, None)

    async def restore(self, name: str, version: int) -> CurrentTemplate:
        """Put an earlier version in force; raises as ``replace``, and TemplateVersionNotFound.

        Version 0 is the built-in: it is in force when there is no own one.
        """
        if version == 0:
            return await self._write(self._restore_built_in, name)
        return await self._write(self._restore, name, version)

    def _restore(self, session: Session, name: str, version: int) -> CurrentTemplate:
        held = self._shelf.recorded(session, name)
        old = store.version(session, self.owner, name, version)
        if old is None or old.body is None:
            raise TemplateVersionNotFound(name, version)
        self._require_known(held)
        return self._put(session, held, old.body)

    def _restore_built_in(self, session: Session, name: str) -> CurrentTemplate:
        held = self._shelf.recorded(session, name)
        built_in = self._shelf.built_in(name)
        if built_in is None:
            raise TemplateVersionNotFound(name, 0)
        self._require_known(held)
        if held.own:
            store.add(session, self.owner, name, held.last, None)
        return built_in

    # ---------------------------------------------------------------- what they share

    async def _write(self, work: Callable[..., T], *args: Any) -> T:
        attempt = 1
        while True:
            try:
                return await self.desk.database.write(work, *args)
            except IntegrityError:
                if attempt == ATTEMPTS:
                    raise
            attempt += 1

    def _present(self, session: Session, name: str) -> Held:
        held = self._shelf.held(session, name)
        if held.current is None:
            raise TemplateNotFound(name)
        return held

    def _require_known(self, held: Held) -> None:
        if self.known:
            self.known.require(held.etag)

    def _put(self, session: Session, held: Held, body: dict[str, Any]) -> CurrentTemplate:
        if not held.own and store.count(session, self.owner) >= MOST:
            raise TooManyTemplates(MOST)
        return own_template(store.add(session, self.owner, held.name, held.last, body), body)


def _stored(template: Template) -> dict[str, Any]:
    return template.model_dump(mode="json", exclude_unset=True)
