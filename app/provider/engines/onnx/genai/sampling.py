"""The sampling options of onnxruntime-genai's engine.

It has temperature, top_k, top_p and a repetition penalty, and a seed where it batches dynamically.
It differs from the other engines in three ways:

* It has no ``min_p``. The API's default of 0.05 is what a request gets that does not name it, so
  it is left out here: top_k 40 and top_p 0.95 have cut that tail before it. Any other ``min_p``
  is refused, as are ``presence_penalty`` and ``frequency_penalty``.
* Its repetition penalty counts the prompt as well as the answer.
* It applies the temperature before top_p, not after it.

It gives tokens and no logits, so there are no log-probabilities and no constraints.
"""

from __future__ import annotations

import onnxruntime_genai as og

from app.provider.errors import UnsupportedInput
from app.provider.types import Prompt, Sampling

_SEEDS = 2**64
_LEFT_OUT = (0.0, Sampling().min_p)
"""Values of min_p that are ignored."""


def greedy(sampling: Sampling) -> bool:
    """Whether the likeliest token is always drawn."""
    return sampling.temperature <= 0 or sampling.top_k == 1 or sampling.top_p <= 0


def check(prompt: Prompt, *, seeds: bool) -> None:
    """Raise UnsupportedInput for options that it lacks; ``seeds``: a turn may have a seed."""
    sampling = prompt.sampling
    if any(tool.strict for tool in prompt.tools):
        _refuse("strict tools", "leave strict out")
    if prompt.logprobs is not None:
        _refuse("log-probabilities", "leave them out")
    if sampling.presence_penalty or sampling.frequency_penalty:
        _refuse("presence_penalty and frequency_penalty", "use repeat_penalty")
    if greedy(sampling):
        return
    if sampling.min_p not in _LEFT_OUT:
        _refuse(f"min_p {sampling.min_p:g}", "use top_p")
    if sampling.seed is not None and not seeds:
        _refuse("a seed", "use temperature 0 for answers that repeat")


def _refuse(what: str, instead: str) -> None:
    raise UnsupportedInput(
        f"onnxruntime-genai, which runs this model, does not know {what}; {instead}."
    )


def options(
    request: og.Request, sampling: Sampling, limit: int, vocabulary_size: int
) -> og.TurnOptions:
    """Options of a turn of at most ``limit`` tokens, out of a vocabulary of ``vocabulary_size``."""
    turn = og.TurnOptions(request)
    turn.set_max_generated_tokens(limit)
    turn.set_repetition_penalty(sampling.repeat_penalty)
    turn.set_no_repeat_ngram_size(0)
    turn.set_do_sample(not greedy(sampling))
    if not greedy(sampling):
        turn.set_temperature(sampling.temperature)
        turn.set_top_k(min(sampling.top_k, vocabulary_size))
        turn.set_top_p(sampling.top_p)
        if sampling.seed is not None:
            turn.set_seed(sampling.seed % _SEEDS)
    return turn
