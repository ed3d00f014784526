"""What only engines can promise that mask logits."""

from __future__ import annotations

from app.provider.errors import UnsupportedConstraint
from app.provider.types import Prompt

_ENGINE = "The engine of this model"


def refuse_constraints(prompt: Prompt) -> None:
    """Raise UnsupportedConstraint for a prompt to an engine that cannot mask logits."""
    if prompt.constraint:
        raise UnsupportedConstraint(f"{_ENGINE} cannot keep an answer to a schema or grammar.")
    if prompt.tools and prompt.tool_choice.mode == "required":
        raise UnsupportedConstraint(f"{_ENGINE} cannot be made to call a tool.")
    if prompt.sampling.logit_bias:
        raise UnsupportedConstraint(f"{_ENGINE} does not know logit_bias.")
