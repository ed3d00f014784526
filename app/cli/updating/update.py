"""The steps of an update, and the way back."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from app.cli.output import fail
from app.cli.project import PROJECT
from app.cli.service.state import running
from app.cli.updating import copies, server
from app.cli.updating.checkout import Checkout
from app.cli.updating.errors import CannotUpdate, StepFailed
from app.cli.updating.installation import Installation
from app.cli.updating.processes import COMMAND_LINE, Interruption, run, say
from app.config import InvalidSetting, read
from app.storage.database import DatabaseRefused
from app.storage.migrate import current_revision

SHOWN_DIGITS = 9
"""Of a commit."""


def update(seconds: float) -> None:
    """Bring code, packages, database and server to the newest version, or all of them back.

    ``seconds``: how long a new version may take until it is healthy.
    """
    interruption = Interruption()
    try:
        checkout = Checkout(PROJECT)
        installation = Installation(dict(os.environ))
        newest = checkout.newest()
        if newest is None:
            typer.echo("This is the newest version already.")
            return
        attempt = Attempt(checkout, installation, newest, interruption)
    except (CannotUpdate, InvalidSetting, DatabaseRefused) as error:
        fail(error)
    except KeyboardInterrupt:
        fail("\nStopped; nothing has changed.")
    attempt.run(seconds)


class Attempt:
    """One update, and how everything was before it; raises CannotUpdate or DatabaseRefused."""

    def __init__(
        self,
        checkout: Checkout,
        installation: Installation,
        newest: str,
        interruption: Interruption,
    ) -> None:
        self._checkout = checkout
        self._installation = installation
        self._newest = newest
        self._interruption = interruption
        if before := running():
            server.adopt_environment(before)
        settings = read()
        if not before:
            server.require_no_other(settings)
        self._ran = before is not None
        self._was_well = before is None or server.is_well(before)
        self._url = settings.database_url
        self._revision = current_revision(self._url)
        self._copy: Path | None = None

    def run(self, seconds: float) -> None:
        """Take all steps; on any failure go back and exit with 1."""
        try:
            self._take_steps(seconds)
        except BaseException as error:
            self._interruption.hold()
            self._go_back(error)
        self._interruption.hold()
        copies.remove_old(self._url)
        typer.echo(f"This is version {_short(self._newest)} now.")

    def _take_steps(self, seconds: float) -> None:
        typer.echo(f"From {_short(self._checkout.commit)} to {_short(self._newest)}.")
        server.stop()
        if self._revision is not None:
            self._copy = copies.make(self._url)
            typer.echo(f"The database was copied to {self._copy}.")
        with self._interruption.held():
            self._checkout.forward(self._newest)
        self._installation.bring_up_to_date()
        if self._revision is not None:
            run((*COMMAND_LINE, "migrate"), dict(os.environ))
        self._try(seconds)

    def _try(self, seconds: float) -> None:
        """Start the new version. Where none ran, it only shows that it can: on a free port."""
        deadline = time.monotonic() + seconds
        if self._ran:
            self._start(dict(os.environ), seconds, deadline)
            return
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"HOST": "127.0.0.1", "PORT": "0"}
            if self._revision is None:  # a later start makes the database
                environment["DATABASE_URL"] = f"sqlite:///{folder}/trial.db"
            self._start(environment, seconds, deadline)
            server.stop()

    def _start(self, environment: dict[str, str], seconds: float, deadline: float) -> None:
        run((*COMMAND_LINE, "start"), environment, seconds)
        server.wait_until_well(deadline, models=self._was_well)

    # ---------------------------------------------------------------- the way back

    def _go_back(self, error: BaseException) -> NoReturn:
        """Put back whatever has changed, say what happened, and exit with 1."""
        say(f"\nThe update failed: {_reason(error)}. Going back.")
        problems: list[str] = []
        for step in (
            server.stop,
            self._put_back_code,
            self._installation.put_back,
            self._put_back_database,
            self._start_again,
        ):
            _attempt(step, problems)
        if problems:
            where = f" The database of before is {self._copy}." if self._copy else ""
            say(f"Not everything is as it was: {' '.join(problems)}{where}")
        else:
            say(f"Everything is as before the update, at {_short(self._checkout.commit)}.")
        raise typer.Exit(1)

    def _put_back_code(self) -> None:
        if not self._checkout.is_at(self._checkout.commit):
            time.sleep(1)  # a file compiled by Python is known by the second of its source
            self._checkout.back()

    def _put_back_database(self) -> None:
        """Restore the copy if the tables have changed; else keep what clients have stored."""
        if self._copy and self._has_changed():
            run((*COMMAND_LINE, "restore", str(self._copy)), dict(os.environ))

    def _has_changed(self) -> bool:
        try:
            return current_revision(self._url) != self._revision
        except DatabaseRefused:  # it carries no single revision any more
            return True

    def _start_again(self) -> None:
        if self._ran:
            run((*COMMAND_LINE, "start"), dict(os.environ))


def _attempt(step: Callable[[], None], problems: list[str]) -> None:
    """Take a step of the way back; note its failure, and let the next one follow."""
    try:
        step()
    except StepFailed as error:
        problems.append(f"{str(error).rstrip('.')}.")
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}".rstrip(".: ") + ".")


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted"
    if isinstance(error, typer.Exit):  # of a command in this process, which has said why
        return "see above"
    return str(error).rstrip(".") or type(error).__name__


def _short(commit: str) -> str:
    return commit[:SHOWN_DIGITS]
