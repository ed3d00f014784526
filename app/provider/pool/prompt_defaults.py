"""What the server adds to every prompt for a model, whichever dialect it came from."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from app.provider.card import ModelCard
from app.provider.types import Prompt


def with_defaults(prompt: Prompt, card: ModelCard, tool_formats: Mapping[str, str]) -> Prompt:
    """The prompt with what the preset says, and the format of tool calls that a setting names."""
    if card.preset:
        prompt = card.preset.apply(prompt)
    if card.ttl_seconds is not None:
        prompt = structs.replace(prompt, ttl_seconds=card.ttl_seconds)
    name = tool_formats.get(card.ref.id)
    return structs.replace(prompt, output_format=name) if name else prompt
