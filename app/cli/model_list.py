"""``sllm models``: the models on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

import typer

from app.cli.output import fail, memory_text, print_table, size_text
from app.config import Settings
from app.provider.card import ModelCard
from app.provider.catalogue.description import description
from app.provider.catalogue.names import find
from app.provider.catalogue.scan import notices, pending
from app.provider.pool.config import PoolConfig
from app.provider.pool.pool import ModelPool
from app.provider.pool.server_lists import NOT_LISTED_YET
from app.provider.pool.sizing import Sizing

_LIST_SECONDS = 15.0
"""How long other servers may take to list their models."""


def show(settings: Settings, model: str) -> None:
    """Print a table of all models, or all that is known of those with this name."""
    pool = ModelPool(settings.pool())
    cards = pool.cards()
    while pending(settings.models_dir):  # each scan reads at least one of them
        cards = pool.cards()
    end = time.monotonic() + _LIST_SECONDS
    while any(card.problem == NOT_LISTED_YET for card in cards) and time.monotonic() < end:
        time.sleep(0.05)
        cards = pool.cards()
    if model:
        _describe(model, cards, settings.pool())
        return
    rows = [_row(card) for card in cards]
    print_table(("MODEL", "FORMAT", "SIZE", "CONTEXT", "ARCHITECTURE", "STATE"), rows)
    if not rows:
        typer.echo(f"No model in {settings.models_dir}: pull one.")
    for notice in notices(settings.models_dir):
        typer.echo(notice, err=True)


def _row(card: ModelCard) -> Sequence[str]:
    return (
        card.id,
        card.format,
        size_text(card.size_bytes),
        f"{card.context_length:,}",
        f"{card.architecture} {card.quantization}".strip(),
        card.problem or "ok",
    )


def _describe(model: str, cards: list[ModelCard], config: PoolConfig) -> None:
    """Print the description of every model of that name."""
    sizing = Sizing(config.limits, config.max_loaded, config.memory_budget, config.gpu)
    found = find(cards, model)
    if not found:
        fail(f"There is no model {model!r}: ./run.sh models lists the ones there are.")
    for card in found:
        description_lines = {
            "Model": card.id,
            "Size": size_text(card.size_bytes),
            "Memory": "" if card.problem else memory_text(sizing.estimate(card, ()).need),
        } | description(card)
        width = max(map(len, description_lines))
        lines = (f"{name.ljust(width)}  {fact}" for name, fact in description_lines.items() if fact)
        typer.echo("\n".join(lines))
