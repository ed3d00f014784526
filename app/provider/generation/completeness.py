"""Checks that a rendered prompt contains the text of every message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from app.provider.errors import UnsupportedInput
from app.provider.formats.thinking import MARKERS
from app.provider.generation.jinja_sandbox import TemplateFailed
from app.provider.generation.json_values import json_object, leaves
from app.provider.generation.message_form import MessageForm
from app.provider.generation.template_input import TemplateInput
from app.provider.generation.template_probe import ANYWHERE, MarkedConversation, shape
from app.provider.types import Message, Part, Role, TextPart, ToolCallPart, ToolResultPart

_MOST_KNOWN = 4096
_NAMES: dict[Role, str] = {
    "system": "a system text",
    "developer": "a system text",
    "user": "a question",
    "assistant": "an answer",
    "tool": "the result of a tool call",
}

_FLAGS = 64
"""Characters that a template may take out of a text: switches such as /no_think."""

_MOST_MISSED = 256
"""Words of a text that are not found; after that no more are searched for."""


class TemplateFrame(NamedTuple):
    """What a template writes around messages: the answer's header, and so many special tokens."""

    header: str = ""
    tokens: int = 0


class GivenText(NamedTuple):
    """A text that a template was given: the role of its message, the number of that message.

    ``allowed`` characters of it may be missing. ``loose`` ones stand in any order.
    """

    role: Role
    text: str
    message: int = -1
    allowed: int = _FLAGS
    loose: bool = False


class CompletenessCheck:
    """Checks whether a template keeps every message. ``fill`` renders; raises TemplateFailed.

    Which message a template drops depends on the roles before it, so every order of roles is
    tried once with marked texts. Text cut off from a message shows in the prompt itself.
    ``count`` counts special tokens.
    """

    def __init__(
        self, fill: Callable[[TemplateInput, MessageForm], str], count: Callable[[str], int]
    ) -> None:
        self._fill = fill
        self._count = count
        self._known: dict[tuple[object, ...], TemplateFrame] = {}

    def frame(self, given: TemplateInput, form: MessageForm) -> TemplateFrame:
        """What the template writes around messages of these roles; raises UnsupportedInput."""
        shapes = (form, given.key, *map(shape, given.messages))
        if shapes not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[shapes] = self._try(given, form)
        return self._known[shapes]

    def _try(self, given: TemplateInput, form: MessageForm) -> TemplateFrame:
        marked = MarkedConversation.like(given.messages)
        try:
            text = self._fill(given.marked(marked.messages), form)
        except TemplateFailed:
            return TemplateFrame()  # it takes only the real texts; these are checked in any case
        missing = marked.first_missing(text)
        if missing is not None:
            what = _NAMES[given.messages[missing].role]
            raise UnsupportedInput(
                f"The model's chat template leaves out message {missing + 1} of "
                f"{len(marked.messages)} ({what}): it cannot be shown this conversation."
            )
        marks = (mark for each in marked.marks for mark in each)
        end = max((text.rfind(mark) + len(mark) for mark in marks), default=0)
        return TemplateFrame(text[end:], self._count(text))


def given_texts(given: TemplateInput) -> Iterator[GivenText]:
    """The texts given to the template, without thinking, which it may take out."""
    for tool in given.tools:
        function = tool["function"]
        yield GivenText("system", function["name"], allowed=0)
        yield GivenText("system", function["description"])
        properties = function["parameters"].get("properties")
        for name in properties if isinstance(properties, dict) else ():
            yield GivenText("system", name, allowed=0)
    documents = given.variables.get("documents")
    for text in leaves(documents):
        yield GivenText("system", text)
    for index, message in enumerate(given.messages):
        for part in message.parts:
            yield from _texts(part, message, index)


def _texts(part: Part, message: Message, index: int) -> Iterator[GivenText]:
    match part:
        case TextPart(text):
            kept = without_thinking(text) if message.role == "assistant" else text
            yield GivenText(message.role, kept, index)
        case ToolCallPart(name=name, arguments=arguments):
            for text in (name, *_argument_texts(arguments)):
                yield GivenText(message.role, text, index, 0, loose=True)
        case ToolResultPart():
            yield GivenText(message.role, part.text, index)
        case _:
            pass


def _argument_texts(arguments: str) -> Iterable[str]:
    try:
        return leaves(json_object(arguments, ""))
    except UnsupportedInput:
        return (arguments,)


def answer_header(frame: TemplateFrame, given: Iterable[GivenText], rendered: str) -> str:
    """The header of the answer: what follows the messages in a prompt.

    ``given`` are the texts given to the template, in order. Raises UnsupportedInput when a part
    of them is missing.
    """
    lost, end = _lost(given, rendered)
    if lost:
        raise UnsupportedInput(
            f"The model's chat template leaves out {lost} characters of what was said."
        )
    if frame.header and rendered.endswith(frame.header):
        return frame.header
    return rendered[end:]


def without_thinking(text: str) -> str:
    """The part of an earlier answer that every template keeps."""
    for markers in MARKERS:
        text = text.rpartition(markers.close)[2]
    return text


class _Rendered:
    """A prompt in which texts are searched for."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def lowered(self) -> str:
        """In small letters, as far as that keeps the places."""
        lowered = self.text.lower()
        return lowered if len(lowered) == len(self.text) else self.text


def _lost(given: Iterable[GivenText], rendered: str) -> tuple[int, int]:
    """Count characters of the texts that the prompt lacks, and find where the last text ends.

    A few missing characters count as switches and are ignored. A system text may stand anywhere.
    """
    prompt = _Rendered(rendered)
    position = lost = 0
    for _, texts in groupby(given, key=lambda one: one.message):
        start = position
        for one in texts:
            begin = 0 if one.role in ANYWHERE else start if one.loose else position
            missing, after = _lost_words(one.text.strip(), prompt, begin)
            position = max(position, after) if one.role not in ANYWHERE else position
            lost += missing if missing > one.allowed else 0
    return lost, position


def _lost_words(text: str, prompt: _Rendered, position: int) -> tuple[int, int]:
    """Count the characters of one text that the prompt lacks, and find where it ends.

    Changed punctuation and case count as kept, and so does a text in JSON.
    """
    for spelled in (text, json.dumps(text, ensure_ascii=False)[1:-1]):
        if (found := prompt.text.find(spelled, position)) >= 0:
            return 0, found + len(spelled)
    words = re.findall(r"\w+", text.lower()) or text.split()
    lost = missed = 0
    for word in words:
        found = prompt.lowered.find(word, position) if missed < _MOST_MISSED else -1
        if found < 0:
            lost, missed = lost + len(word), missed + 1
        else:
            position = found + len(word)
    return lost, position
