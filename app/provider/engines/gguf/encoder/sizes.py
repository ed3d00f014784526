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

_WORD_OF_ENCODER, _WORD_OF_DECODER = 480, 128
"""Bytes for each token of the vocabulary, with the tokenizers that they mostly have."""

_MASK = 6
"""Bytes for each pair of tokens: the mask in float32, and in float16 for flash attention."""

_SCORES = 6
"""Bytes for each pair of tokens in each head, where flash attention is not used."""


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """The longest input in ``tokens``, and how many tokens a ``call`` may have.

    A longer input is computed in several calls where ``last`` holds: each token sees only those
    before it, and the last one stands for all. ``kv`` bytes hold keys and values, ``compute`` the
    rest: llama.cpp reserves a row of logits for every token of a call that makes a vector, though
    an encoder has none.
    """

    tokens: int
    call: int
    last: bool
    kv: int
    compute: int

    @classmethod
    def of(cls, card: ModelCard, limits: EngineLimits) -> EncoderSizes:
        """Plan with the bytes that ``limits`` allow for keys and values."""
        cell = 0 if card.architecture in WITHOUT_MEMORY else 2 * card.shape.kv_numbers  # float16
        row = 4 * card.shape.vocabulary + 28 * card.shape.hidden
        last = _last_stands_for_all(card)
        tokens = ContextPlan.of(card.context_length, cell if last else cell + row, limits).length
        cells = max(tokens, PASS_TOKENS)
        call = PASS_TOKENS if last else cells
        rows = 4 * PASS_ITEMS * card.shape.vocabulary + 28 * card.shape.hidden * call
        pairs = _MASK + (_SCORES * card.shape.heads if last else 0)
        compute = (rows if last else row * call) + pairs * call * cells
        return cls(tokens, call, last, kv=cell * cells, compute=compute)


def need(card: ModelCard, limits: EngineLimits) -> Need:
    """Bytes of the process after the longest input; measured with llama.cpp on CPUs."""
    sizes = EncoderSizes.of(card, limits)
    words = _WORD_OF_ENCODER if card.architecture in WITHOUT_MEMORY else _WORD_OF_DECODER
    return Need(
        runtime=_RUNTIME,
        weights=card.size_bytes,
        kv=sizes.kv,
        compute=sizes.compute + words * card.shape.vocabulary,
        layers=card.shape.layers,
    )


def _last_stands_for_all(card: ModelCard) -> bool:
    facts = card.encoder
    if facts is None or not facts.causal:
        return False
    return card.kind == "rerank" or facts.pooling == "lasttoken"
