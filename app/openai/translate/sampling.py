"""Fields of how the answer is drawn, as options of the domain."""

from __future__ import annotations

from app.chat.request import SMALLEST_TOP_P, SamplingOptions
from app.openai.models.sampling import MOST_TOKENS, DrawingFields, SamplingFields

_SAME = ("temperature", "min_p", "presence_penalty", "frequency_penalty")


def sampling_options(body: DrawingFields, max_tokens: int | None) -> SamplingOptions:
    """The options that the body sets."""
    top_k, top_p, seed = body.given("top_k"), body.given("top_p"), body.seed
    penalty = body.repetition_penalty if body.repeat_penalty is None else body.repeat_penalty
    return SamplingOptions(
        **{name: body.given(name) for name in _SAME},
        top_k=None if top_k is None else max(top_k, 0),
        top_p=None if top_p is None else max(top_p, SMALLEST_TOP_P),
        repeat_penalty=penalty,
        seed=None if seed is None else seed % 2**32,
        max_tokens=MOST_TOKENS if max_tokens == -1 else max_tokens,
        stop=tuple(body.stop) or None,
    )


def cache_owner(body: SamplingFields, owner: str) -> str:
    """Whose computed prompts the request may share: those of its salt, among its key's."""
    return f"{owner}/{body.cache_salt}" if body.cache_salt else owner


def logit_bias(body: SamplingFields) -> tuple[tuple[int, float], ...]:
    """What is added to the logits of tokens, by their ids."""
    return tuple((int(token), bias) for token, bias in body.logit_bias.items())
