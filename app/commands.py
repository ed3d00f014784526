"""The commands of ``sllm``. Heavy imports wait inside them, so that each starts fast."""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from app.config import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Small language models, served.")


@app.command()
def serve() -> None:
    """Start the server; HOST, PORT and all other settings come from the environment or .env."""
    from app.serve import main

    main()


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A recommended name or owner/repository:file")] = "",
) -> None:
    """Download a model into MODELS_DIR; without a name, list the recommended ones."""
    from app.provider.curated import source

    if not name:
        _recommend()
        return
    if (wanted := source(name)) is None:
        _fail(f"There is no recommended model {name!r}; pull without a name lists them.")
    _pull(*wanted)


@app.command()
def models() -> None:
    """List the models on this machine."""
    from app.provider.pool import ModelPool

    settings = _settings()
    cards = ModelPool(settings.pool()).cards()
    rows = [
        (
            card.id,
            card.format,
            _size(card.size_bytes),
            f"{card.context_length:,}",
            f"{card.architecture} {card.quantization}".strip(),
            card.problem or "ok",
        )
        for card in cards
    ]
    _table(("MODEL", "FORMAT", "SIZE", "CONTEXT", "ARCHITECTURE", "STATE"), rows)
    if not rows:
        typer.echo(f"No model in {settings.models_dir}: pull one.")


@app.command()
def docs(folder: Annotated[Path, typer.Argument(help="Where to")] = Path("api_docs")) -> None:
    """Export the API reference, one JSON file per version and a page to read them."""
    from app.contracts import export

    export(folder)
    typer.echo(f"Exported to {folder}")


@app.command()
def migrate() -> None:
    """Bring the database to this version; an SQLite file is copied aside first."""
    from app.database import DatabaseRefused
    from app.migrate import prepare

    try:
        typer.echo(prepare(_settings().database_url) or "The database is up to date.")
    except DatabaseRefused as error:
        _fail(error)


def _pull(repo: str, wanted: str) -> None:
    from app.provider import hub

    settings = _settings()
    try:
        file = hub.find(settings.hf_endpoint, repo, wanted)
        typer.echo(f"{repo}: {file.path}, {_size(file.size)}, licence: {file.licence}")
        path = hub.fetch(settings.hf_endpoint, file, settings.models_dir)
    except (hub.HubError, OSError) as error:
        _fail(error)
    except KeyboardInterrupt:
        _fail("\nStopped; the same command goes on from here.")
    typer.echo(f"{path} is ready. Ask for the model {path.stem!r}, or make it the default:")
    typer.echo(f"  SLLM_MODEL_PATH='{path}' ./run.sh")


def _recommend() -> None:
    from app.provider.curated import RECOMMENDED

    rows = [
        (model.name, _size(model.size), model.licence, model.languages, model.repo)
        for model in RECOMMENDED
    ]
    _table(("NAME", "SIZE", "LICENCE", "LANGUAGES", "FROM"), rows)
    typer.echo("\n./run.sh pull NAME, or any GGUF file: ./run.sh pull owner/repository:file.gguf")


def _settings() -> Settings:
    from app.config import InvalidSetting, read

    try:
        return read()
    except InvalidSetting as error:
        _fail(error)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _fail(reason: object) -> NoReturn:
    typer.echo(str(reason), err=True)
    raise typer.Exit(1)
