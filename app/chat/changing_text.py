"""Text that agents change with every request, kept away from the beginning of the prompt.

A computed prompt is reused up to the first token that differs. An agent that puts a counter or the
time into its system text makes the server compute every turn from there on, which is the whole
conversation: a minute instead of seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from app.provider.types import Message, Part, TextPart


@dataclass(frozen=True, slots=True)
class ChangingText:
    """Text of a system message that changes with every request.

    It is moved behind the conversation, or dropped if the model has no use for it.
    """

    pattern: re.Pattern[str]
    dropped: bool = False


RULES = (
    # Claude Code writes it for the billing of Anthropic's own servers, with a hash of the request.
    # It asks nothing of a model, so the model is spared it.
    ChangingText(
        re.compile(r"^x-anthropic-billing-header:.*(?:\n|\Z)", re.MULTILINE), dropped=True
    ),
    # Agents that say what time it is, such as "Current date and time: Monday, 06:00:31 PM", as a
    # line or as a sentence. The model may need it. A date alone changes once a day and stays.
    ChangingText(
        re.compile(
            r"(?:^(?:#+ )?|(?<=[.!?] ))"
            r"(?:the )?current (?:date and time|date/time|datetime|time)(?: is\b|:)?\s{0,3}"
            r"[^\n.]{0,99}?\d:\d\d[^\n.]{0,99}(?:\.\d+[^\n.]{0,99})?\.?(?: |\n|\Z)",
            re.MULTILINE | re.IGNORECASE,
        )
    ),
)
"""What is known of agents; further ones are one line each."""

LONGEST_SEARCHED = 200_000
"""Characters of system text; no agent has more, and searching takes time in the event loop."""


def stable_first(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages, with changing text of the system messages at their beginning moved behind them.

    Text that no rule knows stays where it is.
    """
    begin = next((at for at, one in enumerate(messages) if one.role != "system"), len(messages))
    if sum(len(message.text) for message in messages[:begin]) > LONGEST_SEARCHED:
        return tuple(messages)
    cleaner = _Cleaner()
    systems = [cleaner.message(one) for one in messages[:begin]]
    kept = (one for one in systems if one.parts)
    return _with_text((*kept, *messages[begin:]), "\n".join(cleaner.moved))


class _Cleaner:
    """Takes changing text out of messages; ``moved`` is what belongs behind the conversation."""

    def __init__(self) -> None:
        self.moved: list[str] = []

    def message(self, message: Message) -> Message:
        """The message without it; a part of which nothing is left goes away."""
        parts = [self._part(part) for part in message.parts]
        return structs.replace(message, parts=tuple(part for part in parts if part))

    def _part(self, part: Part) -> Part | None:
        if not isinstance(part, TextPart):
            return part
        text = part.text
        for rule in RULES:
            if not rule.dropped:
                self.moved += [found[0].strip() for found in rule.pattern.finditer(text)]
            text = rule.pattern.sub("", text)
        if text == part.text:
            return part
        return TextPart(text) if text.strip() else None


def _with_text(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    """The messages with further text at their end, from the user."""
    if not text:
        return messages
    if not messages or messages[-1].role != "user":
        return (*messages, Message.of("user", text))
    last = messages[-1]
    return (*messages[:-1], structs.replace(last, parts=(*last.parts, TextPart(f"\n\n{text}"))))
