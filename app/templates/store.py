"""Versions of users' prompt templates; the highest of a name is the active one.

Two writers that see the same version add the same number; the second gets an IntegrityError.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select, and_, collate, func, select
from sqlalchemy.orm import Session

from app.storage.ids import now
from app.storage.tables import Template

T = TypeVar("T")


def newest_version(session: Session, owner: str, name: str) -> Template | None:
    """The last version, which may mark a deletion; None if there never was one."""
    versions = select(Template).where(Template.owner == owner, Template.name == name)
    return session.scalar(versions.order_by(Template.version.desc()).limit(1))


def find_version(session: Session, owner: str, name: str, number: int) -> Template | None:
    """One version; None if it does not exist."""
    named = (Template.owner == owner, Template.name == name)
    return session.scalar(select(Template).where(*named, Template.version == number))


def list_versions(
    session: Session, owner: str, name: str, limit: int, before: int | None
) -> list[Template]:
    """A page of versions, newest first; ``before`` is the last one seen."""
    page = select(Template).where(Template.owner == owner, Template.name == name)
    if before is not None:
        page = page.where(Template.version < before)
    return list(session.scalars(page.order_by(Template.version.desc()).limit(limit)))


def list_active(session: Session, owner: str, limit: int, after: str | None) -> list[Template]:
    """A page of the owner's active templates, by name; ``after`` is the last name seen."""
    # Byte order, as Python sorts: other PostgreSQL collations may ignore "-" and "_".
    order = "C" if session.get_bind().dialect.name == "postgresql" else "BINARY"
    name = collate(Template.name, order)
    page = _active_only(select(Template), owner)
    if after is not None:
        page = page.where(name > after)
    return list(session.scalars(page.order_by(name).limit(limit)))


def count_active(session: Session, owner: str) -> int:
    """How many active templates the owner has."""
    return session.scalar(_active_only(select(func.count()).select_from(Template), owner)) or 0


def _active_only(statement: Select[T], owner: str) -> Select[T]:
    """Select only the last version of each name, without deleted templates."""
    named = select(Template.name, func.max(Template.version).label("version"))
    last = named.where(Template.owner == owner).group_by(Template.name).subquery()
    same = and_(Template.name == last.c.name, Template.version == last.c.version)
    return statement.join(last, same).where(Template.owner == owner, Template.body.is_not(None))


def add_version(
    session: Session, owner: str, name: str, last: Template | None, body: dict[str, Any] | None
) -> Template:
    """Add the version after ``last``; without a body it marks the template as deleted."""
    row = Template(
        owner=owner,
        name=name,
        version=last.version + 1 if last else 1,
        body=body,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return row
