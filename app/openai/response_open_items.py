"""Items of a response that are being written: what their events say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.chat.answer_content import GrowingText
from app.conversations.store.answers import AnswerKey
from app.openai.translate import response_items as items

Fields = dict[str, Any]


class OpenItem:
    """An item that is being written: ``shown`` characters of its ``text`` have come."""

    kind: str

    def __init__(self, key: AnswerKey, text: GrowingText) -> None:
        self.key = key
        self.text = text
        self.shown = 0
        self.id: str = self.item("", None)["id"]

    @property
    def logprobs(self) -> list[Fields]:
        """Those of its text."""
        return []

    def item(self, status: str, text: str | None = "") -> Fields:
        """The item with its text so far; None: without any."""
        raise NotImplementedError

    def part(self, text: str) -> Fields:
        """Its only part."""
        raise NotImplementedError

    def more(self, logprobs: list[Fields]) -> Fields:
        """What its events have besides."""
        return {}


class OpenThinking(OpenItem):
    """Thinking that is being written."""

    kind = "reasoning_text"

    def item(self, status: str, text: str | None = "") -> Fields:
        """The item with its thinking so far; None: without any."""
        return items.reasoning_item(self.key, "" if text is None else self.text.whole)

    def part(self, text: str) -> Fields:
        """Its only part."""
        return items.reasoning_part(text)


class OpenText(OpenItem):
    """A text that is being written; ``logprobs`` gives those of all of it."""

    kind = "output_text"

    def __init__(
        self, key: AnswerKey, text: GrowingText, logprobs: Callable[[], list[Fields]]
    ) -> None:
        super().__init__(key, text)
        self._of_text = logprobs

    @property
    def logprobs(self) -> list[Fields]:
        """Those of its text."""
        return self._of_text()

    def item(self, status: str, text: str | None = "") -> Fields:
        """The item with its text so far; None: without any."""
        if text is None:
            return items.text_item(self.key, None, status)
        return items.text_item(self.key, self.text.whole, status, self.logprobs)

    def part(self, text: str) -> Fields:
        """Its only part."""
        return items.text_part(text, self.logprobs if text else ())

    def more(self, logprobs: list[Fields]) -> Fields:
        """What its events have besides."""
        return {"logprobs": logprobs}
