"""What a reader of an answer has got so far, and the events that bring it up to date."""

from __future__ import annotations

from dataclasses import dataclass

from app.chat.answer_content import AnswerContent
from app.provider.types import Delta, ThinkingDelta


@dataclass(frozen=True, slots=True)
class ReadPosition:
    """Characters that a reader has: of the text, and of the thinking (None: not known)."""

    text: int = 0
    thinking: int | None = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """What the reader has got is not what is kept: this is, in place of all of it."""

    text: str
    thinking: str


Update = Delta | ThinkingDelta | Reset


class Catchup:
    """Finds what one reader of an answer lacks.

    A reset is the exception. It is needed where a server was killed and the reader had got more
    than was stored, and where text that the reader has turned out to be thinking.
    """

    def __init__(self, position: ReadPosition) -> None:
        self._text = position.text
        self._thinking = position.thinking
        self._joined_in_text = position.text > 0 and position.thinking == 0
        self._retracted: int | None = None
        self._stored: str | None = None

    def live(self, content: AnswerContent) -> list[Update]:
        """What is lacking of an answer that this process makes."""
        changed = self._retracted is not None and content.retracted != self._retracted
        self._retracted = content.retracted
        if self._thinking is None:
            self._thinking = content.thinking_length
        if changed or self._thinks_otherwise(content.thinking_length):
            return self._reset(content.text, content.thinking)
        thinking = content.thinking_since(self._thinking)
        return self._add(content.text_since(self._text), thinking)

    def stored(self, text: str) -> list[Update]:
        """What is lacking of an answer that another process makes: its text a moment ago."""
        changed = self._stored is not None and not text.startswith(self._stored)
        self._stored = text
        return self._reset(text, "") if changed else self._add(text[self._text :], "")

    def final(self, text: str, thinking: str) -> list[Update]:
        """What is lacking of an answer that has ended."""
        changed = self._stored is not None and not text.startswith(self._stored)
        if self._thinking is None:
            self._thinking = len(thinking)
        ahead = self._text > len(text) or self._thinking > len(thinking)
        if ahead or changed or self._thinks_otherwise(len(thinking)):
            return self._reset(text, thinking)
        return self._add(text[self._text :], thinking[self._thinking :])

    def _thinks_otherwise(self, thinking: int) -> bool:
        """Whether there is thinking before text of a reader who came with text alone.

        It may have been a part of the text then.
        """
        joined_in_text, self._joined_in_text = self._joined_in_text, False
        return joined_in_text and thinking > 0

    def _add(self, text: str, thinking: str) -> list[Update]:
        self._text += len(text)
        if self._thinking is not None:
            self._thinking += len(thinking)
        updates: list[Update] = [ThinkingDelta(thinking)] if thinking else []
        return [*updates, Delta(text)] if text else updates

    def _reset(self, text: str, thinking: str) -> list[Update]:
        self._text, self._thinking, self._joined_in_text = len(text), len(thinking), False
        return [Reset(text, thinking)]
