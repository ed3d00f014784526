"""Completions: bodies as prompts, answers as the wire has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from app.chat import completion as domain
from app.chat.choices import total_usage
from app.openai.models.completions import CompletionBody, InfillBody
from app.openai.models.sampling import SamplingFields
from app.openai.translate.answers import AnswerHead, end_fields, usage_fields
from app.openai.translate.constraints import constraint
from app.openai.translate.logprobs import completion_logprobs
from app.openai.translate.sampling import cache_owner, logit_bias, sampling_options
from app.provider.types import Prompt, RawText, Sampling

KIND = "text_completion"

Fields = dict[str, Any]


def prompts(body: CompletionBody, owner: str) -> tuple[Prompt, ...]:
    """A prompt for each text of the body; raises InvalidParameter."""
    shared = Prompt(
        (),
        _sampling(body),
        cache_owner(body, owner),
        constraint=constraint(body),
        logprobs=body.logprobs,
    )
    return tuple(structs.replace(shared, raw=_raw(each, body.suffix)) for each in body.prompt)


def infill_prompt(body: InfillBody, owner: str) -> Prompt:
    """The prompt of a gap; without a suffix, of a text to continue."""
    raw = RawText(body.prompt, suffix=body.suffix or None)
    return Prompt((), _sampling(body), cache_owner(body, owner), raw=raw)


def _sampling(body: SamplingFields) -> Sampling:
    options = sampling_options(body, body.max_tokens)
    return structs.replace(options.to_sampling(), logit_bias=logit_bias(body))


def _raw(prompt: str | list[int], suffix: str | None) -> RawText:
    if isinstance(prompt, str):
        return RawText(prompt, suffix=suffix)
    return RawText(tokens=tuple(prompt))


def completion(
    head: AnswerHead, completions: Sequence[domain.Completion], echoed: Sequence[str], n: int
) -> Fields:
    """The whole answers; ``echoed`` is what each begins with."""
    usages = [each.end.usage for each in completions]
    choices = [_choice(index, each, echoed[index // n]) for index, each in enumerate(completions)]
    usage = usage_fields(total_usage(usages, n), reasoning=None)
    return {**head.fields(KIND), "choices": choices, "usage": usage}


def _choice(index: int, answer: domain.Completion, echoed: str) -> Fields:
    return {
        "index": index,
        "text": echoed + answer.text,
        "logprobs": completion_logprobs(answer.tokens, 0) if answer.tokens else None,
        **end_fields(answer.end),
    }
