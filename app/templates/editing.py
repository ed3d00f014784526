"""Edits of prompt templates: each adds a version and deletes none.

A deletion is a version without a body. If two edits add the same version number, the database
refuses the second, which reads the state again and repeats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.storage.database import Database
from app.storage.etags import ETags
from app.templates import store
from app.templates.errors import (
    TemplateBuiltIn,
    TemplateExists,
    TemplateNotFound,
    TemplateVersionNotFound,
    TooManyTemplates,
)
from app.templates.library import TemplateLibrary
from app.templates.rendering import compile_template
from app.templates.template import Template
from app.templates.user_templates import (
    ActiveTemplate,
    TemplateState,
    UserTemplates,
    active_template,
)

MAX_TEMPLATES = 1000
"""Templates that one owner may store."""

MAX_ATTEMPTS = 1000
"""Attempts of one edit; each one that fails means that another edit succeeded."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TemplateEditor:
    """Changes the templates of one owner. ``if_match`` is the version that the client has read."""

    database: Database
    library: TemplateLibrary
    owner: str
    if_match: ETags | None = None

    @property
    def _templates(self) -> UserTemplates:
        return UserTemplates(self.library, self.owner)

    async def create(self, template: Template) -> ActiveTemplate:
        """Store a new template; raises InvalidRequest, TemplateExists, TooManyTemplates."""
        await asyncio.to_thread(compile_template, template)
        return await self._write_with_retries(self._create, template)

    def _create(self, session: Session, template: Template) -> ActiveTemplate:
        state = self._templates.state(session, template.name)
        if state.own:
            raise TemplateExists(template.name)
        return self._add_version(session, state, template.body)

    async def replace(self, template: Template) -> ActiveTemplate:
        """Replace a template; raises also TemplateNotFound, PreconditionFailed."""
        await asyncio.to_thread(compile_template, template)
        return await self._write_with_retries(self._replace, template)

    def _replace(self, session: Session, template: Template) -> ActiveTemplate:
        state = self._require_active(session, template.name)
        self._check_if_match(state)
        return self._add_version(session, state, template.body)

    async def remove(self, name: str) -> None:
        """Delete a user's template.

        Raises TemplateNotFound, TemplateBuiltIn, PreconditionFailed.
        """
        await self._write_with_retries(self._remove, name)

    def _remove(self, session: Session, name: str) -> None:
        state = self._require_active(session, name)
        if not state.own:
            raise TemplateBuiltIn(name)
        self._check_if_match(state)
        store.add_version(session, self.owner, name, state.last_version, None)

    async def restore(self, name: str, version: int) -> ActiveTemplate:
        """Make an earlier version the active one; raises as ``replace``, TemplateVersionNotFound.

        Version 0 is the built-in template, which is active while the user has none of that name.
        """
        if version == 0:
            return await self._write_with_retries(self._restore_built_in, name)
        return await self._write_with_retries(self._restore, name, version)

    def _restore(self, session: Session, name: str, version: int) -> ActiveTemplate:
        state = self._templates.require_history(session, name)
        old = store.find_version(session, self.owner, name, version)
        if old is None or old.body is None:
            raise TemplateVersionNotFound(name, version)
        self._check_if_match(state)
        return self._add_version(session, state, old.body)

    def _restore_built_in(self, session: Session, name: str) -> ActiveTemplate:
        state = self._templates.require_history(session, name)
        built_in = self._templates.built_in(name)
        if built_in is None:
            raise TemplateVersionNotFound(name, 0)
        self._check_if_match(state)
        if state.own:
            store.add_version(session, self.owner, name, state.last_version, None)
        return built_in

    # ---------------------------------------------------------------- shared steps

    async def _write_with_retries(self, work: Callable[..., T], *args: Any) -> T:
        attempt = 1
        while True:
            try:
                return await self.database.write(work, *args)
            except IntegrityError:
                if attempt == MAX_ATTEMPTS:
                    raise
            attempt += 1

    def _require_active(self, session: Session, name: str) -> TemplateState:
        state = self._templates.state(session, name)
        if state.active is None:
            raise TemplateNotFound(name)
        return state

    def _check_if_match(self, state: TemplateState) -> None:
        if self.if_match:
            self.if_match.require(state.etag)

    def _add_version(
        self, session: Session, state: TemplateState, body: dict[str, Any]
    ) -> ActiveTemplate:
        if not state.own and store.count_active(session, self.owner) >= MAX_TEMPLATES:
            raise TooManyTemplates(MAX_TEMPLATES)
        return active_template(
            store.add_version(session, self.owner, state.name, state.last_version, body), body
        )
