"""What the end of a stored answer says beside its text."""

from __future__ import annotations

from dataclasses import dataclass

from app.chat.answer_content import AnswerContent
from app.provider.types import End, Part, ThinkingPart


@dataclass(frozen=True, slots=True)
class Context:
    """Size of the prompt in tokens, and the ids of messages that were left out of it."""

    prompt_tokens: int
    limit: int
    dropped: tuple[str, ...] = ()
    summarised: tuple[str, ...] = ()


class TurnEnd(End, frozen=True, kw_only=True):
    """The end of a stored answer. The usage of a cancelled one is incomplete."""

    context: Context


def beside_text(content: AnswerContent, *, with_calls: bool) -> tuple[Part, ...]:
    """The thinking, and the tool calls if they count."""
    thinking = content.thinking
    calls = content.tool_calls if with_calls else ()
    return (*([ThinkingPart(thinking)] if thinking else []), *calls)
