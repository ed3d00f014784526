"""Runs migrations on the connection it is given, or on DATABASE_URL for the alembic command."""

from alembic import context
from sqlalchemy import Connection

from app.config import Settings
from app.storage import tables  # noqa: F401 — fills Table.metadata
from app.storage.database import Table, open_engine, parse_url
from app.storage.schema import SEARCH_INDEX


def modelled(name: str | None, kind: str, _: object) -> bool:
    """All but the search index, which no class describes; comparing with the models skips it."""
    return kind != "table" or not (name or "").startswith(SEARCH_INDEX)


def run(connection: Connection) -> None:
    """All of it in one transaction, which SQLite can do as well as PostgreSQL."""
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        transactional_ddl=True,
        include_name=modelled,
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    engine = open_engine(parse_url(Settings().database_url))
    with engine.connect().execution_options(writes=True) as own, own.begin():
        run(own)
