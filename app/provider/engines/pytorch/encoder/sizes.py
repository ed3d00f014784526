"""How long an input of an encoder may be, and what memory it takes. Imports nothing of PyTorch."""

from __future__ import annotations

from app.provider.card import ModelCard
from app.provider.encoding.batch import CPU_LIMITS
from app.provider.engine import EngineLimits
from app.provider.generation.context_plan import ContextPlan
from app.provider.memory import Need

_RUNTIME = 345 * 2**20
"""Python, PyTorch, transformers and what these import."""

_SCRATCH = 45 * 2**20
"""What kernels, allocators and the tokenizer keep after large inputs."""

_WIDTHS = 12
"""Numbers that a token of a forward pass needs at once, in widths of the model."""

_WINDOWED = ("modernbert", "gemma3_text")
"""Model types whose layers see only what is near, by a mask of every token for every other."""

_MASK = 10
"""Bytes of a pair of tokens in such a mask, in all its copies."""

_TOKENIZER = 200
"""Bytes for each word of the vocabulary."""


def longest_input(tokens: int, hidden: int, limits: EngineLimits) -> int:
    """Tokens of the longest input of a model that was trained for ``tokens``.

    A forward pass over it takes at most the memory that a chat model has for keys and values.
    """
    plan = ContextPlan.of(tokens, _token_bytes(hidden), limits)
    return plan.length


def _token_bytes(hidden: int) -> int:
    return 4 * _WIDTHS * hidden


def encoder_need(card: ModelCard, limits: EngineLimits, weights: int) -> Need:
    """Bytes of the process after the longest input; ``weights`` are those in memory."""
    hidden = card.shape.hidden
    longest = longest_input(card.context_length, hidden, limits) if card.context_length else 0
    tokens = max(longest, CPU_LIMITS.tokens)
    mask = _MASK * longest**2 if card.architecture in _WINDOWED else 0
    return Need(
        runtime=_RUNTIME + _TOKENIZER * card.shape.vocabulary,
        weights=weights,
        kv=0,
        compute=_SCRATCH + _token_bytes(hidden) * tokens + mask,
        layers=1,  # all of it goes to a GPU, or none
    )
