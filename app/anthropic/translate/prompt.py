"""A request as a prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence

from app.anthropic.models.request import CountRequest
from app.anthropic.translate import tools
from app.anthropic.translate.messages import messages
from app.anthropic.translate.sampling import sampling_options, thinking
from app.chat.changing_text import stable_first
from app.provider.types import Constraint, ImagePart, Prompt
from app.templates.frame import frame
from app.templates.rendering import CompiledTemplate


async def prompt(
    body: CountRequest,
    images: Sequence[ImagePart],
    template: CompiledTemplate | None,
    owner: str,
) -> Prompt:
    """The prompt of a request; raises InvalidRequest, RenderFailed."""
    given, thoughts = tools.tools(body), thinking(body)
    choice, constraint = tools.tool_choice(body, given), _constraint(body)
    sent = messages(body, images)
    framed, sampling = await frame(sent, sampling_options(body), template)
    return Prompt(
        stable_first(framed),
        sampling.to_sampling(),
        owner,
        tools=given,
        tool_choice=choice,
        constraint=constraint,
        thinking=thoughts.shown,
        thinking_budget=thoughts.budget,
        template_variables=json.dumps(thoughts.variables),
    )


def _constraint(body: CountRequest) -> Constraint | None:
    config = body.output_config
    form = config.format if config and config.format else body.output_format
    if form is None:
        return None
    return Constraint("json_schema", json.dumps(form.json_schema, ensure_ascii=False))
