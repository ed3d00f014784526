"""A body of a chat as a prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import structs

from app.chat.changing_text import stable_first
from app.chat.request import SamplingOptions
from app.chat.thinking import thinking_options
from app.errors import InvalidRequest
from app.openai.models.chat import ChatBody
from app.openai.translate.constraints import constraint
from app.openai.translate.messages import domain_messages
from app.openai.translate.sampling import cache_owner, logit_bias, sampling_options
from app.openai.translate.tools import ChosenTools
from app.provider.types import ImagePart, Message, Prompt
from app.templates.frame import frame
from app.templates.rendering import CompiledTemplate


def require_length(body: ChatBody, longest: int) -> None:
    """Raise InvalidRequest for more than ``longest`` messages before the last one."""
    if len(body.messages) - 1 > longest:
        raise InvalidRequest(
            "/messages",
            f"There are {len(body.messages)} messages; this server takes {longest} before the "
            "last one (the setting MAX_HISTORY_LENGTH).",
        )


async def chat_prompt(
    body: ChatBody,
    images: Sequence[ImagePart],
    tools: ChosenTools,
    template: CompiledTemplate | None,
    owner: str,
) -> Prompt:
    """The prompt of a body; raises InvalidRequest, RenderFailed."""
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    sampling = sampling_options(body, limit)
    messages = domain_messages(body.messages, images)
    return _prompt(body, tools, owner, *await frame(messages, sampling, template))


def _prompt(
    body: ChatBody,
    tools: ChosenTools,
    owner: str,
    messages: tuple[Message, ...],
    sampling: SamplingOptions,
) -> Prompt:
    effort = thinking_options(body.reasoning_effort) if body.reasoning_effort else None
    budget = effort.budget if effort else None
    variables = {**(effort.variables if effort else {}), **body.chat_template_kwargs}
    return Prompt(
        stable_first(messages),
        structs.replace(sampling.to_sampling(), logit_bias=logit_bias(body)),
        cache_owner(body, owner),
        tools=tools.tools,
        tool_choice=tools.choice,
        constraint=constraint(body),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        thinking=True,
        thinking_budget=budget
        if body.thinking_token_budget is None
        else body.thinking_token_budget,
        template_variables=json.dumps(variables, ensure_ascii=False) if variables else "",
    )
