"""Prints tables, sizes and errors on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import typer

from app.provider.memory import Need


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their titles, in columns as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def size_text(size: int) -> str:
    """Bytes in MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def memory_text(need: Need) -> str:
    """What a model takes when it is loaded, and how its keys and values lie."""
    layout = f" ({need.kv_layout})" if need.kv_layout else ""
    return f"{size_text(need.total)}, of it keys and values {size_text(need.kv)}{layout}"


def fail(reason: object) -> NoReturn:
    """Print the reason as an error and exit with code 1."""
    typer.echo(str(reason), err=True)
    raise typer.Exit(1)
