"""The answer of a model to a prompt, as events that every dialect can show."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from app.provider.card import ModelCard
from app.provider.pool.pool import ModelPool
from app.provider.types import Event, Prompt, Started

if TYPE_CHECKING:
    from app.chat.parsers.answer_events import AnswerEvents


def stream_answer(pool: ModelPool, model: ModelCard, prompt: Prompt) -> AsyncGenerator[Event, None]:
    """Submit ``prompt`` and stream the answer; raises what ``ModelPool.stream`` raises.

    Text is that of the answer alone: thinking and tool calls come as deltas of their own.
    """
    return parse_answer(pool.stream(model, prompt), prompt)


async def parse_answer(
    events: AsyncGenerator[Event, None], prompt: Prompt
) -> AsyncGenerator[Event, None]:
    """Tell tool calls and channels from the text, in the format that the engine named."""
    parsed: AnswerEvents | None = None
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Started) and event.output_format:
                parsed = _parser(event.output_format, prompt)
            if parsed is None:
                yield event
                continue
            for made in parsed.convert(event):
                yield made


def _parser(output_format: str, prompt: Prompt) -> AnswerEvents | None:
    from app.chat.parsers.answer_events import AnswerEvents  # noqa: PLC0415 - a start needs none

    return AnswerEvents.of(output_format, prompt)
