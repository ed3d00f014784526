"""Sampling options → a chain of llama.cpp samplers, so that drawing a token happens in C."""

from __future__ import annotations

import llama_cpp

from app.provider.types import Sampling

_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: draws a seed of its own


class Sampler:
    """One request's chain. Penalties see the tokens drawn from it: the answer so far."""

    def __init__(self, sampling: Sampling, vocabulary_size: int, longest_answer: int) -> None:
        self.chain = llama_cpp.llama_sampler_chain_init(
            llama_cpp.llama_sampler_chain_default_params()
        )
        if _penalises(sampling):
            penalties = llama_cpp.llama_sampler_init_penalties(
                vocabulary_size,
                longest_answer,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
            llama_cpp.llama_sampler_chain_add(self.chain, penalties)
        for sampler in _greedy() if sampling.temperature == 0 else _drawing(sampling):
            llama_cpp.llama_sampler_chain_add(self.chain, sampler)

    def close(self) -> None:
        """Free the chain and its samplers."""
        llama_cpp.llama_sampler_free(self.chain)


def _penalises(sampling: Sampling) -> bool:
    return (
        sampling.repeat_penalty != 1.0
        or sampling.presence_penalty != 0.0
        or sampling.frequency_penalty != 0.0
    )


def _greedy() -> list[llama_cpp.llama_sampler_p]:
    return [llama_cpp.llama_sampler_init_greedy()]


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
