"""What a GGUF file says of itself, and how many bytes its model will take."""

from __future__ import annotations

from pathlib import Path

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits
from app.provider.gguf.facts import describe
from app.provider.gguf.plan import IDLE_SEQUENCES, plan
from app.provider.memory import Need
from app.provider.pace import BATCH_TOKENS

LIBRARIES = ("llama_cpp",)

_RUNTIME = 53 * 2**20
"""Python, numpy and llama.cpp without a model."""


def read(path: Path) -> ModelCard | None:
    """Describe a GGUF file, whatever its name; None for anything else."""
    return describe(path) if path.is_file() else None


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process: the mapped weights count, and all cells are taken at once.

    Scratch memory is a row of logits for each sequence, the tables of the vocabulary and the
    activations of a batch; measured with llama.cpp on CPUs.
    """
    vocabulary, hidden = card.shape.vocabulary, card.shape.hidden
    cell = 2 * card.shape.kv_numbers  # float16
    _, cells = plan(card.context_length, cell, limits)
    logits = 4 * vocabulary * (limits.slots + IDLE_SEQUENCES)
    return Need(
        runtime=_RUNTIME,
        weights=card.size_bytes,
        kv=cells * cell,
        compute=logits + 128 * vocabulary + 16 * hidden * BATCH_TOKENS,
        prefix_cache=limits.prefix_cache_bytes,
        layers=card.shape.layers,
    )
