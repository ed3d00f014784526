"""The form in which a chat template takes tool calls, their results and thinking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from app.provider.formats.call_syntax import CallSyntax
from app.provider.formats.output_formats import HERMES
from app.provider.generation.plain_messages import plain_result, plain_role
from app.provider.types import (
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)


@dataclass(frozen=True, slots=True)
class ToolForm:
    """How a template takes what is more than texts and images. The default takes nothing more.

    ``shows_tools``: it describes the tools that it is given, or with ``system_tools`` those that
    the system message has. ``structured``: it takes tool calls and results as such; otherwise
    calls are written into the answers in this ``spelling``, and results are messages
    (``own_results``) or a user's text.
    ``string_arguments``: the arguments of a call are JSON text instead of an object.
    ``null_content``: a message without text has the content None instead of an empty text.
    ``texts_apart``: a text and calls are two messages.
    ``calls_apart``: every call is a message, followed by its result. ``named_ids``: the id of a
    call names its tool. ``thinking_key`` is the field of earlier thinking; empty where the template
    shows none. ``developer``: it knows that role.
    """

    shows_tools: bool = False
    system_tools: bool = False
    structured: bool = False
    spelling: CallSyntax = HERMES.calls
    own_results: bool = False
    string_arguments: bool = False
    null_content: bool = False
    texts_apart: bool = False
    calls_apart: bool = False
    named_ids: bool = False
    thinking_key: str = ""
    developer: bool = False

    def alternatives(self) -> Iterator[ToolForm]:
        """The form itself, then others that may fit a conversation that it does not fit."""
        yield self
        without = replace(self, thinking_key="", developer=False)
        if without != self:
            yield without
        if self.structured:
            yield replace(without, texts_apart=True, calls_apart=True)
        if self.structured or self.own_results or self.spelling != HERMES.calls:
            yield replace(without, structured=False, spelling=HERMES.calls, own_results=False)

    def arrange(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation as the template takes it; in a message of results there is only one."""
        arranged = [one for message in messages for one in self._messages_of(message)]
        return _with_calls_apart(arranged) if self.structured and self.calls_apart else arranged

    def adaptations(self) -> list[str]:
        """Sentences on what is done with tools for this template."""
        notes = []
        if not self.shows_tools:
            notes.append("It does not describe tools: a system text does, as for Hermes.")
        if not self.structured and self.spelling != HERMES.calls:
            notes.append("It does not show tool calls: the answers spell them.")
        elif not self.structured:
            notes.append("It does not show tool calls and results: texts do, as for Hermes.")
        if self.structured and self.calls_apart:
            notes.append("It shows one tool call of a message: every call is a message.")
        if self.structured and self.texts_apart:
            notes.append("It shows no text beside tool calls: the text is a message before them.")
        return notes

    def _messages_of(self, message: Message) -> Iterator[Message]:
        if not is_special(message):
            yield message if message.role != "tool" else Message("user", message.parts)
        else:
            yield from self._split(message)

    def _role(self, message: Message) -> Role:
        known = self.developer and message.role == "developer"
        return "developer" if known else plain_role(message.role)

    def _split(self, message: Message) -> Iterator[Message]:
        for is_result, run in groupby(message.parts, lambda part: isinstance(part, ToolResultPart)):
            parts = tuple(run)
            if is_result and (self.structured or self.own_results):
                yield from (Message("tool", (part,)) for part in parts)
            elif is_result:
                yield Message("user", tuple(_plain_results(parts)))
            else:
                yield from self._spoken(Message(self._role(message), parts))

    def _spoken(self, message: Message) -> Iterator[Message]:
        """A message without results; thinking belongs to the calls that it led to."""
        shown = (one for one in message.parts if self.thinking_key or not _is_thinking(one))
        parts = tuple(one for one in shown if not _is_blank(one))
        calls = tuple(one for one in parts if isinstance(one, ToolCallPart))
        if not (self.structured and self.texts_apart and calls):
            yield Message(message.role, parts)
            return
        texts = tuple(one for one in parts if not isinstance(one, ToolCallPart | ThinkingPart))
        if texts:
            yield Message(message.role, texts)
        yield Message(message.role, (*filter(_is_thinking, parts), *calls))


def is_special(message: Message) -> bool:
    """Whether a message has more than texts and images, or a role that few templates know."""
    return message.role == "developer" or any(map(_is_special, message.parts))


NO_TOOLS = ToolForm()
"""Calls and results are texts as Hermes writes them."""


def _plain_results(parts: Sequence[Part]) -> Iterator[Part]:
    for number, part in enumerate(parts):
        if isinstance(part, ToolResultPart):
            yield from (TextPart("\n"),) if number else ()
            yield from plain_result(part)


def _is_special(part: Part) -> bool:
    return isinstance(part, ThinkingPart | ToolCallPart | ToolResultPart)


def _is_thinking(part: Part) -> bool:
    return isinstance(part, ThinkingPart)


def _is_blank(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.text.strip()


def _with_calls_apart(messages: Sequence[Message]) -> list[Message]:
    """Make every call a message of its own, with its results after it."""
    apart: list[Message] = []
    waiting: list[Message] = []  # calls whose results have not been passed
    for message in messages:
        if message.role == "tool":
            waiting = _release(apart, waiting, message)
            apart.append(message)
        else:
            apart += waiting
            first, *waiting = _one_call_each(message)
            apart.append(first)
    return apart + waiting


def _release(apart: list[Message], waiting: list[Message], result: Message) -> list[Message]:
    """Pass the call that the result belongs to; returns those that still wait."""
    called = {part.call_id for part in result.parts if isinstance(part, ToolResultPart)}
    mine = [one for one in waiting if any(call.id in called for call in _calls(one))]
    apart += mine
    return [one for one in waiting if one not in mine]


def _one_call_each(message: Message) -> list[Message]:
    calls = _calls(message)
    if len(calls) < 2:
        return [message]
    others = tuple(one for one in message.parts if not isinstance(one, ToolCallPart))
    first = Message(message.role, (*others, calls[0]))
    return [first, *(Message(message.role, (call,)) for call in calls[1:])]


def _calls(message: Message) -> list[ToolCallPart]:
    return [one for one in message.parts if isinstance(one, ToolCallPart)]
