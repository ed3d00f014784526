"""Checks that a rendered prompt shows everything that was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from app.provider.errors import UnsupportedInput
from app.provider.formats.thinking import MARKERS
from app.provider.generation.template_probe import Marked
from app.provider.template import TemplateFailed
from app.provider.types import Message

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
        self._known: set[tuple[object, ...]] = set()

    def check(self, messages: Sequence[Message], texts: Iterable[str], rendered: str) -> None:
        """Raise UnsupportedInput when something of the messages is missing.

        ``texts`` are theirs, in order, as the template was given them.
        """
        roles = tuple((message.role, bool(message.images)) for message in messages)
        if roles not in self._known:
            self._try(messages)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(roles)
        if lost := _lost(map(_kept, texts), rendered):
            raise UnsupportedInput(
                f"The model's chat template leaves out {lost} characters of what was said."
            )

    def _try(self, messages: Sequence[Message]) -> None:
        pictured = [index for index, message in enumerate(messages) if message.images]
        marked = Marked.of((message.role for message in messages), pictured)
        try:
            missing = marked.first_missing(self._fill(marked.messages))
        except TemplateFailed:
            return  # it takes only the real texts; these are checked in any case
        if missing is not None:
            what = _NAMES[messages[missing].role]
            raise UnsupportedInput(
                f"The model's chat template leaves out message {missing + 1} of "
                f"{len(messages)} (a {what}): it cannot be shown this conversation."
            )


def _kept(text: str) -> str:
    """What of a text templates show: they take the thinking out of earlier answers."""
    for markers in MARKERS:
        text = text.rpartition(markers.close)[2]
    return text.strip()


def _lost(texts: Iterable[str], rendered: str) -> int:
    """Characters of the texts that are not in the prompt, in order; 0 where a few are switches."""
    position = lost = 0
    for text in texts:
        found = rendered.find(text, position)
        if found >= 0:
            position = found + len(text)
            continue
        missing, position = _lost_words(text, rendered, position)
        lost += missing if missing > _FLAGS else 0
    return lost


def _lost_words(text: str, rendered: str, position: int) -> tuple[int, int]:
    """The same of one text word by word, and where its last word was found."""
    lost = 0
    for word in text.split():
        found = rendered.find(word, position)
        if found < 0:
            lost += len(word)
        else:
            position = found + len(word)
    return lost, position
