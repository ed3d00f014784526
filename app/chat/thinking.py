"""How long a model may think: what clients call effort, as tokens and as template variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_BUDGETS: dict[str, int | None] = {
    "none": 0,
    "minimal": 128,
    "low": 512,
    "medium": 2048,
    "high": 8192,
    "xhigh": None,
}
"""Tokens of thinking; None: as many as the model wants."""

_TEMPLATE_EFFORTS = {"none": "low", "minimal": "low", "xhigh": "high"}
"""Efforts that no chat template knows → the nearest that templates do."""


@dataclass(frozen=True, slots=True)
class ThinkingOptions:
    """The most tokens of thinking (None: any), and variables for the model's chat template."""

    budget: int | None
    variables: dict[str, Any]


def thinking_options(effort: str) -> ThinkingOptions:
    """What an effort asks for: none, minimal, low, medium, high or xhigh."""
    thinks = effort != "none"
    variables = {
        "enable_thinking": thinks,  # Qwen3 and most others
        "thinking": thinks,  # DeepSeek, HyperCLOVA X
        "reasoning_effort": _TEMPLATE_EFFORTS.get(effort, effort),  # gpt-oss
    }
    return ThinkingOptions(_BUDGETS[effort], variables)
