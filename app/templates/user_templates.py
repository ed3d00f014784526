"""Prompt templates of an owner; they take precedence over built-in ones of the same name."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.storage.database import Database
from app.storage.tables import Template as Row
from app.templates import store
from app.templates.errors import TemplateNotFound
from app.templates.library import TemplateLibrary
from app.templates.rendering import CompiledTemplate, compile_template
from app.templates.template import Template

MAX_VERSION = 2**31 - 1
"""The greatest number that the column can hold."""


async def find_template(
    database: Database, library: TemplateLibrary, owner: str, name: str
) -> CompiledTemplate:
    """The owner's or the built-in template of this name; raises TemplateNotFound."""
    own = await database.read(store.newest_version, owner, name)
    if own is None or own.body is None:
        return library.get(name)
    return await asyncio.to_thread(compile_template, Template.of(own.body))


@dataclass(frozen=True, slots=True)
class ActiveTemplate:
    """The template that a name stands for now, as its JSON object.

    ``version`` counts the edits of a user's template and is 0 for a built-in one. ``updated_at`` is
    in milliseconds since 1970, None for a built-in one.
    """

    body: dict[str, Any]
    version: int = 0
    updated_at: int | None = None

    @property
    def source(self) -> Literal["built-in", "own"]:
        """Whether it is built in or a user's."""
        return "own" if self.version else "built-in"

    @property
    def etag(self) -> str:
        """An ETag; built-in templates that change with an upgrade get a new one too."""
        if self.version:
            return f'"{self.version}"'
        facts = {**self.body, "version": 0, "source": "built-in", "updated_at": None}
        text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
        return f'"0-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class TemplateState:
    """The state of a name: the owner's last version, and the active template if there is one."""

    name: str
    last_version: Row | None
    active: ActiveTemplate | None

    @property
    def own(self) -> bool:
        """Whether the active template is the owner's own."""
        return self.active is not None and self.active.source == "own"

    @property
    def etag(self) -> str | None:
        """The ETag of the active template."""
        return self.active.etag if self.active else None


@dataclass(frozen=True, slots=True)
class UserTemplates:
    """All templates of one owner. Its methods run inside a transaction."""

    library: TemplateLibrary
    owner: str

    def state(self, session: Session, name: str) -> TemplateState:
        """Look up a name."""
        last = store.newest_version(session, self.owner, name)
        if last and last.body is not None:
            return TemplateState(name, last, active_template(last, last.body))
        return TemplateState(name, last, self.built_in(name))

    def require_history(self, session: Session, name: str) -> TemplateState:
        """Look up a name; raises TemplateNotFound if it never had a template."""
        state = self.state(session, name)
        if state.last_version is None and state.active is None:
            raise TemplateNotFound(name)
        return state

    def built_in(self, name: str) -> ActiveTemplate | None:
        """The template of this name that comes with the server."""
        try:
            return ActiveTemplate(self.library.get(name).template.body)
        except TemplateNotFound:
            return None

    def active(self, session: Session, name: str) -> ActiveTemplate:
        """The active template of a name; raises TemplateNotFound."""
        active = self.state(session, name).active
        if active is None:
            raise TemplateNotFound(name)
        return active

    def page(self, session: Session, count: int, after: str | None) -> list[ActiveTemplate]:
        """The first ``count`` templates by name after the name ``after``."""
        rows = store.list_active(session, self.owner, count, after)
        # If the owner replaced a built-in template of this page, it is among these rows.
        found = {each.name: ActiveTemplate(each.body) for each in self.library.all()}
        found |= {row.name: active_template(row, row.body) for row in rows if row.body is not None}
        names = sorted(name for name in found if after is None or name > after)
        return [found[name] for name in names[:count]]

    def versions(self, session: Session, name: str, count: int, before: int | None) -> list[Row]:
        """The last ``count`` versions of a name before version ``before``, newest first.

        Raises TemplateNotFound.
        """
        self.require_history(session, name)
        before = None if before is None else min(before, MAX_VERSION)
        return store.list_versions(session, self.owner, name, count, before)


def active_template(row: Row, body: dict[str, Any]) -> ActiveTemplate:
    """The template of a stored version that is the active one."""
    return ActiveTemplate(body, row.version, row.created_at)
