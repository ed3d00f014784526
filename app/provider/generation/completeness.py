"""Checks that a rendered prompt contains the text of every message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from app.provider.errors import UnsupportedInput
from app.provider.formats.thinking import MARKERS
from app.provider.generation.jinja_sandbox import TemplateFailed
from app.provider.generation.template_probe import MarkedConversation
from app.provider.types import Message, Role

Given = tuple[Role, str]
"""The role and a text of a message."""

_MOST_KNOWN = 4096
_NAMES = {"system": "a system text", "user": "a question", "assistant": "an answer"}

_FLAGS = 64
"""Characters that a template may take out of a text: switches such as /no_think."""

_MOST_MISSED = 256
"""Words of a text that are not found; after that no more are searched for."""


class TemplateFrame(NamedTuple):
    """What a template writes around messages: the answer's header, and so many special tokens."""

    header: str = ""
    tokens: int = 0


class CompletenessCheck:
    """Checks whether a template keeps every message. ``fill`` renders; raises TemplateFailed.

    Which message a template drops depends on the roles before it, so every order of roles is
    tried once with marked texts. Text cut off from a message shows in the prompt itself.
    ``count`` counts special tokens.
    """

    def __init__(
        self, fill: Callable[[Sequence[Message]], str], count: Callable[[str], int]
    ) -> None:
        self._fill = fill
        self._count = count
        self._known: dict[tuple[object, ...], TemplateFrame] = {}

    def frame(self, messages: Sequence[Message]) -> TemplateFrame:
        """What the template writes around messages of these roles; raises UnsupportedInput."""
        roles = tuple((message.role, bool(message.images)) for message in messages)
        if roles not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[roles] = self._try(messages)
        return self._known[roles]

    def _try(self, messages: Sequence[Message]) -> TemplateFrame:
        with_images = [index for index, message in enumerate(messages) if message.images]
        marked = MarkedConversation.of((message.role for message in messages), with_images)
        try:
            text = self._fill(marked.messages)
        except TemplateFailed:
            return TemplateFrame()  # it takes only the real texts; these are checked in any case
        missing = marked.first_missing(text)
        if missing is not None:
            what = _NAMES[messages[missing].role]
            raise UnsupportedInput(
                f"The model's chat template leaves out message {missing + 1} of "
                f"{len(messages)} ({what}): it cannot be shown this conversation."
            )
        end = max((text.rfind(mark) + len(mark) for mark in marked.marks), default=0)
        return TemplateFrame(text[end:], self._count(text))


def answer_header(frame: TemplateFrame, given: Iterable[Given], rendered: str) -> str:
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


def _lost(given: Iterable[Given], rendered: str) -> tuple[int, int]:
    """Count characters of the texts that the prompt lacks, and find where the last text ends.

    A few missing characters count as switches and are ignored. A system text may stand anywhere.
    """
    position = lost = 0
    for role, text in given:
        begin = 0 if role == "system" else position
        missing, after = _lost_words(text.strip(), rendered, begin)
        position = max(position, after) if role != "system" else position
        lost += missing if missing > _FLAGS else 0
    return lost, position


def _lost_words(text: str, rendered: str, position: int) -> tuple[int, int]:
    """Count the characters of one text that the prompt lacks, and find where it ends.

    Changed punctuation and case count as kept.
    """
    if (found := rendered.find(text, position)) >= 0:
        return 0, found + len(text)
    lowered = rendered.lower()
    rendered = lowered if len(lowered) == len(rendered) else rendered
    words = re.findall(r"\w+", text.lower()) or text.split()
    lost = missed = 0
    for word in words:
        found = rendered.find(word, position) if missed < _MOST_MISSED else -1
        if found < 0:
            lost, missed = lost + len(word), missed + 1
        else:
            position = found + len(word)
    return lost, position
