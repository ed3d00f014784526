"""Which jobs an engine does, and what only engines can promise that mask logits."""

from __future__ import annotations

from app.provider.engine import EngineInfo
from app.provider.errors import UnsupportedConstraint, UnsupportedInput
from app.provider.types import Encode, Job, Prompt, Tokens

_ENGINE = "The engine of this model"

MOST_TOKENS = 500_000
"""Of a text that is tokenised for a client; a report of them stays within its bound."""


def bounded(tokens: Tokens) -> Tokens:
    """The tokens of a text; raises UnsupportedInput for too many."""
    if len(tokens.tokens) > MOST_TOKENS:
        raise UnsupportedInput(f"The text has more than {MOST_TOKENS} tokens.")
    return tokens


def require_supported(info: EngineInfo, task: Job) -> None:
    """Raise UnsupportedInput for a job of a kind that the engine does not do."""
    if isinstance(task, Encode) and not info.encodes:
        raise UnsupportedInput("This model generates text: it does not encode.")
    if isinstance(task, Prompt) and not info.generates:
        raise UnsupportedInput("This model encodes: it generates no text.")
    if isinstance(task, Prompt) and not info.constrains:
        refuse_constraints(task)


def refuse_constraints(prompt: Prompt) -> None:
    """Raise UnsupportedConstraint for a prompt to an engine that cannot mask logits."""
    if prompt.constraint:
        raise UnsupportedConstraint(f"{_ENGINE} cannot keep an answer to a schema or grammar.")
    if prompt.tools and prompt.tool_choice.mode == "required":
        raise UnsupportedConstraint(f"{_ENGINE} cannot be made to call a tool.")
    if prompt.sampling.logit_bias:
        raise UnsupportedConstraint(f"{_ENGINE} does not know logit_bias.")
