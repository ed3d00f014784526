"""How long an input of an encoder may be, and what memory it takes. Light: no llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass

from app.provider.card import ModelCard
from app.provider.engine import EngineLimits
from app.provider.engines.gguf.encoder.kinds import WITHOUT_MEMORY
from app.provider.generation.context_plan import ContextPlan
from app.provider.memory import Need

PASS_TOKENS = 256
"""Tokens of one forward pass, and of one call where several inputs share it. llama.cpp computes
the attention of every token of a call to every other one, so more would take longer."""

PASS_ITEMS = 64

_RUNTIME = 53 * 2**20
"""Python, numpy and llama.cpp without a model."""

_MASK = 6
"""Bytes for each pair of tokens: the mask in float32, and in float16 for flash attention."""


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """The longest input in ``tokens``, and how many tokens a ``call`` may have.

    A longer input is computed in several calls where each token sees only those before it, and
    the last one stands for all. ``kv`` bytes hold keys and values, ``compute`` the rest: llama.cpp
    reserves a row of logits for every token of a call, though an encoder has none.
    """

    tokens: int
    call: int
    kv: int
    compute: int

    @classmethod
    def of(cls, card: ModelCard, limits: EngineLimits) -> EncoderSizes:
        """Plan with the bytes that ``limits`` allow for keys and values."""
        cell = 0 if card.architecture in WITHOUT_MEMORY else 2 * card.shape.kv_numbers  # float16
        row = 4 * card.shape.vocabulary + 64 * card.shape.hidden
        splits = _splits(card)
        each = cell if splits else cell + row
        tokens = ContextPlan.of(card.context_length, each, limits).length
        call = PASS_TOKENS if splits else max(tokens, PASS_TOKENS)
        cells = max(tokens, PASS_TOKENS)
        return cls(tokens, call, kv=cell * cells, compute=row * call + _MASK * call**2)


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process after the longest input; measured with llama.cpp on CPUs."""
    sizes = EncoderSizes.of(card, limits)
    tables = 128 * card.shape.vocabulary
    return Need(
        runtime=_RUNTIME,
        weights=card.size_bytes,
        kv=sizes.kv,
        compute=sizes.compute + tables,
        layers=card.shape.layers,
    )


def _splits(card: ModelCard) -> bool:
    facts = card.encoder
    last = card.kind == "rerank" or (facts is not None and facts.pooling == "lasttoken")
    return facts is not None and facts.causal and last
