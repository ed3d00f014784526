"""For engines that cannot keep an answer to a constraint."""

from __future__ import annotations

from app.provider.errors import UnsupportedConstraint
from app.provider.types import Prompt


def refuse_constraints(prompt: Prompt, engine: str) -> None:
    """Raise UnsupportedConstraint for what only masks over the logits can promise."""
    if prompt.constraint:
        raise UnsupportedConstraint(f"{engine} cannot keep an answer to a schema or grammar.")
    if prompt.tools and prompt.tool_choice.mode == "required":
        raise UnsupportedConstraint(f"{engine} cannot be made to call a tool.")
    if prompt.sampling.logit_bias:
        raise UnsupportedConstraint(f"{engine} does not know logit_bias.")
