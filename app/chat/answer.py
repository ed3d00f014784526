"""The answer of a model to a prompt, as events that every dialect can show."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from app.chat.parsers.answer_events import parse_answer
from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.provider.types import Event, Prompt


def stream_answer(pool: ModelPool, model: ModelCard, prompt: Prompt) -> AsyncGenerator[Event, None]:
    """Submit ``prompt`` and stream the answer; raises what ``ModelPool.stream`` raises.

    Text is that of the answer alone: thinking and tool calls come as deltas of their own.
    """
    return parse_answer(pool.stream(model, prompt), prompt)
