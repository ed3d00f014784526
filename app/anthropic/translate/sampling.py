"""Fields of how the answer is drawn, and how much is thought before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.anthropic.models import options as wire
from app.anthropic.models.request import CountRequest, MessagesRequest
from app.chat.request import SMALLEST_TOP_P, SamplingOptions
from app.chat.thinking import thinking_options
from app.errors import InvalidRequest

_SAME = ("temperature", "top_p", "top_k", "max_tokens")


def sampling_options(body: CountRequest) -> SamplingOptions:
    """The options that the body sets."""
    if not isinstance(body, MessagesRequest):
        return SamplingOptions()
    given = {name: getattr(body, name) for name in _SAME if name in body.model_fields_set}
    if "top_p" in given:
        given["top_p"] = max(given["top_p"], SMALLEST_TOP_P)
    return SamplingOptions(**given, stop=tuple(body.stop_sequences) or None)


@dataclass(frozen=True, slots=True)
class Thinking:
    """The most tokens of thinking (None: any), whether it is sent, and template variables."""

    budget: int | None
    shown: bool
    variables: dict[str, Any]


def thinking(body: CountRequest) -> Thinking:
    """How the model is to think: not at all unless the body says so; raises InvalidRequest."""
    if body.thinking is None or isinstance(body.thinking, wire.DisabledThinking):
        options = thinking_options("none")
        return Thinking(options.budget, False, options.variables)
    options = thinking_options(_effort(body))
    budget = options.budget
    if isinstance(body.thinking, wire.EnabledThinking):
        budget = body.thinking.budget_tokens
        if isinstance(body, MessagesRequest) and budget >= body.max_tokens:
            raise InvalidRequest("/thinking/budget_tokens", "must be less than max_tokens")
    return Thinking(budget, body.thinking.display != "omitted", options.variables)


def _effort(body: CountRequest) -> str:
    """In the words of the domain."""
    effort = body.output_config.effort if body.output_config else None
    return "xhigh" if effort in (None, "max") else str(effort)
