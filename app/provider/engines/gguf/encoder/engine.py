"""Builds the engine of an encoder: llama.cpp behind the queue that all encoders share."""

from __future__ import annotations

import logging
from collections.abc import Callable

import llama_cpp

from app.provider.card import ModelCard
from app.provider.encoding.batch import BatchLimits
from app.provider.encoding.engine import EncoderEngine
from app.provider.engine import EngineLimits, EngineSpec
from app.provider.engines.gguf.encoder.context import CausalContext, EncoderContext
from app.provider.engines.gguf.encoder.inputs import PairInput, QuestionInput, TextInput
from app.provider.engines.gguf.encoder.kinds import RANK, pooling_number
from app.provider.engines.gguf.encoder.letter_case import LOWERCASE, keeps_case
from app.provider.engines.gguf.encoder.runner import GgufEncoderRunner, ItemInput
from app.provider.engines.gguf.encoder.sizes import PASS_ITEMS, PASS_TOKENS, EncoderSizes
from app.provider.engines.gguf.encoder.tokens import EncoderTokenizer
from app.provider.engines.gguf.model import LlamaModel
from app.provider.errors import ModelNotLoadable

log = logging.getLogger(__name__)

_LIMITS = BatchLimits(tokens=PASS_TOKENS, items=PASS_ITEMS, padded=False)


class GgufEncoderEngine(EncoderEngine):
    """Raises ModelNotLoadable for a file that cannot be used, or would be computed wrongly."""

    def __init__(self, card: ModelCard, spec: EngineSpec, progress: Callable[[int], None]) -> None:
        if card.problem:
            raise ModelNotLoadable(card.problem)
        cased = keeps_case(card.path)
        flags = {LOWERCASE: False} if cased else {}
        self._model = model = LlamaModel(spec.path, spec.limits.gpu_layers, progress, flags)
        sizes = EncoderSizes.of(card, spec.limits)
        log.info("inputs of up to %d tokens, %d in a call", sizes.tokens, sizes.call)
        nomic = card.architecture.startswith("nomic-bert")
        super().__init__(
            _runner(model, card, sizes, spec.limits, cased=cased),
            spec.limits.slots,
            _LIMITS,
            layer_norm=nomic,
        )

    def close(self) -> None:
        """Free the context and the weights."""
        super().close()
        self._model.close()


def _runner(
    model: LlamaModel,
    card: ModelCard,
    sizes: EncoderSizes,
    limits: EngineLimits,
    *,
    cased: bool,
) -> GgufEncoderRunner:
    ranks = card.kind == "rerank"
    pooling = "" if card.encoder is None else card.encoder.pooling
    width = llama_cpp.llama_model_n_cls_out if ranks else llama_cpp.llama_model_n_embd_out
    numbers = int(width(model.handle))
    kind = CausalContext if sizes.last else EncoderContext
    context = kind(
        model,
        sizes,
        pooling=RANK if ranks else pooling_number(pooling),
        width=numbers,
        threads=limits.threads,
    )
    return GgufEncoderRunner(
        _inputs(model, card, sizes.tokens, cased=cased),
        context,
        max_tokens=sizes.tokens,
        dimensions=1 if ranks else numbers,
        packs=limits.gpu_layers != 0,
    )


def _inputs(model: LlamaModel, card: ModelCard, limit: int, *, cased: bool) -> ItemInput:
    facts = card.encoder
    last = facts is not None and facts.pooling == "lasttoken"
    tokenizer = EncoderTokenizer(model, ends_with=last, cased=cased)
    if card.kind != "rerank":
        return TextInput(tokenizer, limit)
    asks = facts is not None and facts.causal
    return QuestionInput(tokenizer, limit) if asks else PairInput(tokenizer, limit)
