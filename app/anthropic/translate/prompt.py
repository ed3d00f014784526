"""A request as a prompt."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.anthropic.models import options as wire
from app.anthropic.models.request import CountRequest, MessagesRequest
from app.anthropic.translate import tools
from app.anthropic.translate.json_text import json_text
from app.anthropic.translate.messages import Images, messages
from app.errors import InvalidRequest
from app.provider.types import Constraint, Prompt, Sampling

EFFORT_BUDGETS = {"low": 512, "medium": 2048, "high": 8192, "xhigh": None, "max": None}
"""Tokens of thinking by effort; None: no bound but that of the answer."""


@dataclass(frozen=True, slots=True)
class ThinkingOptions:
    """Whether the model thinks first, for how many tokens, and whether the client sees it."""

    wanted: bool = False
    budget: int | None = None
    shown: bool = False


def prompt(body: CountRequest, images: Images, owner: str, longest_history: int) -> Prompt:
    """The prompt of a request; raises InvalidRequest."""
    given = tools.tools(body)
    thinking = _thinking(body)
    return Prompt(
        messages(body, images, longest_history),
        _sampling(body),
        owner,
        tools=given,
        tool_choice=tools.tool_choice(body, given),
        constraint=_constraint(body),
        thinking=thinking.shown,
        thinking_budget=thinking.budget,
        template_variables=json.dumps({"enable_thinking": thinking.wanted}),
    )


def _sampling(body: CountRequest) -> Sampling:
    if not isinstance(body, MessagesRequest):
        return Sampling()
    return Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        max_tokens=body.max_tokens,
        stop=tuple(body.stop_sequences),
    )


def _constraint(body: CountRequest) -> Constraint | None:
    config = body.output_config
    form = config.format if config and config.format else body.output_format
    if form is None:
        return None
    return Constraint("json_schema", json_text(form.json_schema, "/output_config/format/schema"))


def _thinking(body: CountRequest) -> ThinkingOptions:
    match body.thinking:
        case wire.EnabledThinking(budget_tokens=budget, display=display):
            if isinstance(body, MessagesRequest) and budget >= body.max_tokens:
                raise InvalidRequest("/thinking/budget_tokens", "must be less than max_tokens")
            return ThinkingOptions(True, budget, display != "omitted")
        case wire.AdaptiveThinking(display=display):
            effort = body.output_config.effort if body.output_config else None
            by_effort = EFFORT_BUDGETS[effort] if effort else None
            return ThinkingOptions(True, by_effort, display != "omitted")
        case _:
            return ThinkingOptions()
