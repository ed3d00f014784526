"""What is known of a model: from its files, and from the meters."""

from __future__ import annotations

from typing import Any

from app.openai.translate.models import model
from app.provider.card import ModelCard
from app.provider.pool.model_host import HostSnapshot


def description(card: ModelCard, state: str) -> dict[str, Any]:
    """What ``/v1/models`` says of it, and its version, files, licence and problem."""
    return model(card) | {
        "state": state,
        "version": card.version,
        "path": str(card.path),
        "architecture": card.architecture,
        "parameters": card.parameters,
        "quantization": card.quantization,
        "licence": card.licence,
        "problem": card.problem,
    }


def performance(measured: HostSnapshot, name: str) -> dict[str, Any]:
    """Averages of recent answers, and bytes of memory; None: not measured yet."""
    metrics, entry = measured.metrics.get(name), measured.ledger.get(name)
    return {
        "tokens_per_second": metrics and metrics.tokens_per_second,
        "time_to_first_token_seconds": metrics and metrics.time_to_first_token,
        "load_seconds": metrics.load_seconds / metrics.loads if metrics and metrics.loads else None,
        "memory_bytes": entry.measured if entry and entry.measured else None,
    }
