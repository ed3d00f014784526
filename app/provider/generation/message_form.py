"""The form in which a chat template takes messages without dropping any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from operator import attrgetter

from app.provider.errors import UnsupportedInput
from app.provider.generation.json_values import json_object, map_strings
from app.provider.generation.tool_form import NO_TOOLS, ToolForm, is_special
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

_BETWEEN = TextPart("\n\n")


@dataclass(frozen=True, slots=True)
class MessageForm:
    """How messages are changed for a template.

    ``listed`` are the roles whose content is a list of parts instead of a text;
    ``merges_system``: the system text stands before the first question, in one message with it;
    ``joins_system``: the system texts at the beginning are one; ``joins``: neighbours of one role
    are one message; ``tools`` is the form of tool calls.
    """

    listed: frozenset[Role] = frozenset()
    merges_system: bool = False
    joins_system: bool = False
    joins: bool = False
    tools: ToolForm = NO_TOOLS

    def arrange(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation in this form, from what ``tools`` has arranged."""
        arranged = _with_one_system(messages) if self.joins_system else list(messages)
        arranged = _merged(arranged) if self.merges_system else arranged
        return _joined(arranged, self.tools) if self.joins else arranged

    def alternatives(self, messages: Sequence[Message]) -> Iterator[MessageForm]:
        """The form itself, then others for conversations that it drops a part of.

        Mistral's templates drop a system text while a tool is being used; others the second one of
        several.
        """
        several = len(list(takewhile(attrgetter("instructs"), messages))) > 1
        for form in self._alternatives(messages):
            yield form
            if several:
                yield replace(form, joins_system=True)

    def _alternatives(self, messages: Sequence[Message]) -> Iterator[MessageForm]:
        yield self
        if not any(map(is_special, messages)):
            return
        merges = messages[0].role == "system" and not self.merges_system
        for number, tools in enumerate(self.tools.alternatives()):
            form = replace(self, tools=tools)
            if number > 0:
                yield form
            if merges:
                yield replace(form, merges_system=True)

    def without_tools(self) -> MessageForm:
        """The form for a conversation whose system text describes the tools."""
        return replace(self, tools=ToolForm(thinking_key=self.tools.thinking_key))

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


def _with_one_system(messages: Sequence[Message]) -> list[Message]:
    """Join the system texts that stand at the beginning."""
    first = list(takewhile(attrgetter("instructs"), messages))
    return [_one(first[0].role, first), *messages[len(first) :]] if first else list(messages)


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Put a leading system text before the question that follows it."""
    if len(messages) < 2 or messages[0].role != "system" or messages[1].role != "user":
        return list(messages)
    system, question, *rest = messages
    return [_one("user", (system, question)), *rest]


def _joined(messages: Iterable[Message], form: ToolForm) -> list[Message]:
    """Join neighbours of one role; those with calls or results of their own stay as they are."""
    stay = (ToolCallPart, ToolResultPart) if form.structured else (ToolResultPart,)

    def key(message: Message) -> tuple[Role, int | None]:
        stays = any(isinstance(one, stay) for one in message.parts)
        return message.role, id(message) if stays else None

    return [_one(role, tuple(run)) for (role, _), run in groupby(messages, key)]


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
    """Apply ``change`` to every text of a message, also those of tool calls and results."""
    return Message(message.role, tuple(_mapped(part, change) for part in message.parts))


def _mapped(part: Part, change: Callable[[str], str]) -> Part:
    match part:
        case TextPart(text):
            return TextPart(change(text))
        case ThinkingPart(text):
            return ThinkingPart(change(text))
        case ToolCallPart(id=call_id, name=name, arguments=arguments):
            return ToolCallPart(call_id, change(name), _mapped_json(arguments, change))
        case ToolResultPart(call_id=call_id, content=content, is_error=is_error):
            texts = (
                one if isinstance(one, ImagePart) else TextPart(change(one.text)) for one in content
            )
            return ToolResultPart(call_id, tuple(texts), is_error)
        case _:
            return part


def _mapped_json(text: str, change: Callable[[str], str]) -> str:
    """Change the strings of a JSON object; of what is none, the text."""
    try:
        value = json_object(text, "")
    except UnsupportedInput:
        return change(text)
    return json.dumps(map_strings(value, change), ensure_ascii=False)
