"""The form in which a chat template takes messages without dropping any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.provider.types import Message, Part, Role, TextPart

_BETWEEN = TextPart("\n\n")


@dataclass(frozen=True, slots=True)
class MessageForm:
    """How messages are changed for a template.

    ``listed`` are the roles whose content is a list of parts instead of a text;
    ``merges_system``: the system text stands before the first question, in one message with it;
    ``joins``: neighbours of one role are one message.
    """

    listed: frozenset[Role] = frozenset()
    merges_system: bool = False
    joins: bool = False

    def arrange(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation in this form."""
        arranged = _merged(messages) if self.merges_system else list(messages)
        return _joined(arranged) if self.joins else arranged

    def adaptations(self) -> list[str]:
        """Sentences on what is done for this template; none where it takes messages as they are."""
        notes = []
        if self.listed:
            roles = " and ".join(sorted(self.listed))
            notes.append(f"It walks over parts: the texts of {roles} are given as lists.")
        if self.merges_system:
            notes.append("It has no system role: a system text stands before the first question.")
        if self.joins:
            notes.append("It wants turns: neighbouring messages of one role are joined.")
        return notes


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Put a leading system text before the question that follows it."""
    if len(messages) < 2 or messages[0].role != "system" or messages[1].role != "user":
        return list(messages)
    system, question, *rest = messages
    return [_one("user", (system, question)), *rest]


def _joined(messages: Iterable[Message]) -> list[Message]:
    runs = groupby(messages, key=lambda message: message.role)
    return [_one(role, tuple(run)) for role, run in runs]


def _one(role: Role, messages: Sequence[Message]) -> Message:
    """Join messages to one, with an empty line between them."""
    parts: list[Part] = list(messages[0].parts)
    for message in messages[1:]:
        parts += [_BETWEEN, *message.parts]
    return merge_texts(Message(role, tuple(parts)))


def merge_texts(message: Message) -> Message:
    """Merge neighbouring texts of a message, since a token may be spelled across two."""
    parts: list[Part] = []
    for is_text, run in groupby(message.parts, key=lambda part: isinstance(part, TextPart)):
        same = tuple(run)
        parts += [TextPart(Message(message.role, same).text)] if is_text else same
    return Message(message.role, tuple(parts))


def map_texts(message: Message, change: Callable[[str], str]) -> Message:
    """Apply ``change`` to every text of a message."""
    parts = (
        TextPart(change(part.text)) if isinstance(part, TextPart) else part
        for part in message.parts
    )
    return Message(message.role, tuple(parts))
