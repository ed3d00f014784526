"""Checks that a rendered prompt shows everything that was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from app.provider.errors import UnsupportedInput
from app.provider.formats.thinking import MARKERS
from app.provider.generation.jinja_sandbox import TemplateFailed
from app.provider.generation.template_probe import Marked
from app.provider.types import Message, Role

Given = tuple[Role, str]
"""A text of a message, and whose it is."""

_MOST_KNOWN = 4096
_NAMES = {"system": "system text", "user": "question", "assistant": "answer"}

_FLAGS = 64
"""Characters that a template may take out of a text: switches such as /no_think."""


class ShownMessages:
    """Whether a template shows conversations whole. ``fill`` renders; raises TemplateFailed.

    Which message a template drops depends on the roles before it, so every order of roles is
    tried once with marked texts. What it cuts off a text shows in the prompt itself.
    """

    def __init__(self, fill: Callable[[Sequence[Message]], str]) -> None:
        self._fill = fill
        self._known: dict[tuple[object, ...], str] = {}

    def header(self, messages: Sequence[Message], given: Iterable[Given], rendered: str) -> str:
        """What follows the messages in a prompt, which is the header of the answer.

        ``given`` are their texts, in order, as the template was given them. Raises
        UnsupportedInput when something of them is missing.
        """
        roles = tuple((message.role, bool(message.images)) for message in messages)
        if roles not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[roles] = self._try(messages)
        given = list(given)
        if lost := _lost(given, rendered):
            raise UnsupportedInput(
                f"The model's chat template leaves out {lost} characters of what was said."
            )
        usual, last = self._known[roles], given[-1][1].strip() if given else ""
        if usual and rendered.endswith(usual):
            return usual
        return rendered.rpartition(last)[2] if last else rendered

    def _try(self, messages: Sequence[Message]) -> str:
        """Render marked texts; return what follows them, empty where that cannot be told."""
        pictured = [index for index, message in enumerate(messages) if message.images]
        marked = Marked.of((message.role for message in messages), pictured)
        try:
            text = self._fill(marked.messages)
        except TemplateFailed:
            return ""  # it takes only the real texts; these are checked in any case
        missing = marked.first_missing(text)
        if missing is not None:
            what = _NAMES[messages[missing].role]
            raise UnsupportedInput(
                f"The model's chat template leaves out message {missing + 1} of "
                f"{len(messages)} (a {what}): it cannot be shown this conversation."
            )
        return text[max((text.rfind(mark) + len(mark) for mark in marked.marks), default=0) :]


def _kept(text: str) -> str:
    """What of a text templates show: they take the thinking out of earlier answers."""
    for markers in MARKERS:
        text = text.rpartition(markers.close)[2]
    return text.strip()


def _lost(given: Iterable[Given], rendered: str) -> int:
    """Characters of the texts that are not in the prompt, in order; 0 where a few are switches.

    A system text may stand anywhere.
    """
    position = lost = 0
    for role, text in given:
        missing, after = _lost_words(_kept(text), rendered, 0 if role == "system" else position)
        position = position if role == "system" else after
        lost += missing if missing > _FLAGS else 0
    return lost


def _lost_words(text: str, rendered: str, position: int) -> tuple[int, int]:
    """The same of one text, word by word if need be, and where it ends in the prompt."""
    if (found := rendered.find(text, position)) >= 0:
        return 0, found + len(text)
    lost = 0
    for word in text.split():
        found = rendered.find(word, position)
        if found < 0:
            lost += len(word)
        else:
            position = found + len(word)
    return lost, position
