"""Describes a card to a person."""

from __future__ import annotations

import math

from app.provider.card import ModelCard
from app.provider.generation.template_report import template_report


def description(card: ModelCard) -> dict[str, str]:
    """Texts of a card by label; empty where the card has no value."""
    return {
        "Also called": ", ".join(card.aliases),
        "Preset of": card.preset.model.id if card.preset else "",
        "Purpose": card.preset.description if card.preset else "",
        "Template": card.preset.template if card.preset else "",
        "Stays loaded": _time_to_live(card),
        "Path": str(card.declared_in),
        "Server": _server(card),
        "Format": card.format + (f", run by the engine {card.engine}" if card.engine else ""),
        "Context": f"{card.context_length:,} tokens",
        "Architecture": f"{card.architecture} {card.quantization}".strip(),
        "Licence": card.licence,
        "Can": ", ".join(card.tasks),
        "State": card.problem or "ok",
        "Chat template": template_report(card),
    }


def _server(card: ModelCard) -> str:
    """Where a model is that another server runs."""
    if card.remote is None:
        return ""
    where = card.remote.unix_socket or card.remote.base_url
    name = f", there called {card.remote.model}" if card.remote.model else ""
    return f"{card.remote.server} at {where}{name}"


def _time_to_live(card: ModelCard) -> str:
    """How long requests to a preset keep its model loaded, where it says so."""
    if card.ttl_seconds is None:
        return ""
    return "for ever" if card.ttl_seconds == math.inf else f"{card.ttl_seconds:g} seconds"
