"""``sllm migrate``, ``backup`` and ``restore``."""

from __future__ import annotations

from pathlib import Path

import typer

from app.cli.health import health_of
from app.cli.output import fail
from app.cli.server_address import of_settings
from app.cli.service.state import running
from app.config import Settings
from app.storage.backup import back_up
from app.storage.database import DatabaseRefused
from app.storage.migrate import prepare
from app.storage.restore import restore as put_back


def migrate(settings: Settings) -> None:
    """Upgrade the database."""
    try:
        typer.echo(prepare(settings.database_url) or "The database is up to date.")
    except DatabaseRefused as error:
        fail(error)


def backup(settings: Settings, file: Path | None) -> None:
    """Copy the database and print where to."""
    try:
        typer.echo(f"The database was copied to {back_up(settings.database_url, file)}.")
    except DatabaseRefused as error:
        fail(error)


def restore(settings: Settings, file: Path) -> None:
    """Replace the database by a backup, unless a server runs."""
    here = of_settings(settings).url
    if (found := running()) or health_of(here):
        address = (found and found.address) or here
        fail(f"The server at {address} may use the database: stop it first (./run.sh stop).")
    try:
        typer.echo(put_back(settings.database_url, file))
    except DatabaseRefused as error:
        fail(error)
