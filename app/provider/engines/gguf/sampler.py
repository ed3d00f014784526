"""Sampling options → a chain of llama.cpp samplers, so that drawing a token happens in C."""

from __future__ import annotations

import llama_cpp

from app.provider.engines.gguf.context import LlamaContext
from app.provider.generation.output_stream import NO_TOKEN
from app.provider.types import Sampling

_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: draws a seed of its own


class Sampler:
    """The sampler of one request. Penalties count the tokens that it has drawn."""

    def __init__(self, sampling: Sampling, vocabulary_size: int, max_answer_tokens: int) -> None:
        samplers = _drawing(sampling) if sampling.temperature > 0 else []
        if _penalises(sampling):
            penalties = llama_cpp.llama_sampler_init_penalties(
                vocabulary_size,
                max_answer_tokens,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
            samplers = [penalties, *(samplers or [llama_cpp.llama_sampler_init_greedy()])]
        self._chain = _chain(samplers) if samplers else None

    def draw(self, context: LlamaContext, row: int) -> int:
        """Draw the next token from an output row of the last batch; NO_TOKEN where that is NaN."""
        if not context.is_number(row):
            return NO_TOKEN
        if self._chain is None:
            return context.likeliest(row)  # no copy of the vocabulary for a plain maximum
        return context.sample(self._chain, row)

    def close(self) -> None:
        """Free the chain and its samplers."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)


def _chain(samplers: list[llama_cpp.llama_sampler_p]) -> llama_cpp.llama_sampler_p:
    params = llama_cpp.llama_sampler_chain_default_params()
    chain: llama_cpp.llama_sampler_p = llama_cpp.llama_sampler_chain_init(params)
    for sampler in samplers:
        llama_cpp.llama_sampler_chain_add(chain, sampler)
    return chain


def _penalises(sampling: Sampling) -> bool:
    return (
        sampling.repeat_penalty != 1.0
        or sampling.presence_penalty != 0.0
        or sampling.frequency_penalty != 0.0
    )


def _drawing(sampling: Sampling) -> list[llama_cpp.llama_sampler_p]:
    seed = _RANDOM_SEED if sampling.seed is None else sampling.seed % _RANDOM_SEED
    chain = []
    if sampling.top_k > 0:
        chain.append(llama_cpp.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1.0:
        chain.append(llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0.0:
        chain.append(llama_cpp.llama_sampler_init_min_p(sampling.min_p, 1))
    chain.append(llama_cpp.llama_sampler_init_temp(sampling.temperature))
    chain.append(llama_cpp.llama_sampler_init_dist(seed))
    return chain
