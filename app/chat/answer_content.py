"""What an answer consists of so far: its text, its thinking and its tool calls."""

from __future__ import annotations

from app.provider.types import AnyDelta, Delta, ThinkingDelta, ToolCallDelta, ToolCallPart


class GrowingText:
    """A text that grows piece by piece; adding and reading what is new cost no copy of the rest."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, piece: str) -> None:
        """Add a piece to the end."""
        self._pieces.append(piece)
        self._length += len(piece)

    @property
    def whole(self) -> str:
        """All of it."""
        if len(self._pieces) != 1:  # the next call then joins only what is new
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def since(self, start: int) -> str:
        """What stands behind the first ``start`` characters."""
        missing, pieces = self._length - start, list[str]()
        for piece in reversed(self._pieces):
            if missing <= 0:
                break
            pieces.append(piece[-missing:])
            missing -= len(piece)
        return "".join(reversed(pieces))


class AnswerContent:
    """Collects the pieces of one answer.

    ``retracted`` characters at the beginning of what came as text turned out to be thinking, which
    belongs to the answer if ``keeps_thinking``.
    """

    def __init__(self, *, keeps_thinking: bool = True) -> None:
        self._keeps_thinking = keeps_thinking
        self._text = GrowingText()
        self._thinking = GrowingText()
        self._calls: dict[int, ToolCallPart] = {}
        self.retracted = 0

    def add(self, event: AnyDelta) -> None:
        """Add what the event carries."""
        match event:
            case Delta(text=text, retracted=retracted):
                self._text.add(text)
                self.retracted = retracted
            case ThinkingDelta(text=text):
                self._thinking.add(text)
            case ToolCallDelta():
                self._add_to_call(event)

    def _add_to_call(self, piece: ToolCallDelta) -> None:
        """Add a piece of a tool call: its id and name come whole, its arguments in pieces."""
        call = self._calls.get(piece.index, ToolCallPart("", "", ""))
        self._calls[piece.index] = ToolCallPart(
            call.id or piece.id, call.name or piece.name, call.arguments + piece.arguments
        )

    def drop_calls(self) -> None:
        """Forget the tool calls of an answer that broke off: half a call is none."""
        self._calls.clear()

    @property
    def text(self) -> str:
        """The answer so far, without text that turned out to be thinking."""
        return self._text.whole[self.retracted :]

    @property
    def thinking(self) -> str:
        """The thinking so far."""
        return self._text.whole[: self._thought_as_text] + self._thinking.whole

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The tool calls so far, the last of which may still grow."""
        return tuple(self._calls[index] for index in sorted(self._calls))

    @property
    def length(self) -> int:
        """Characters of the text."""
        return max(0, len(self._text) - self.retracted)

    @property
    def thinking_length(self) -> int:
        """Characters of the thinking."""
        return self._thought_as_text + len(self._thinking)

    @property
    def _thought_as_text(self) -> int:
        return self.retracted if self._keeps_thinking else 0

    def text_since(self, start: int) -> str:
        """The text behind its first ``start`` characters."""
        return self._text.since(start + self.retracted)

    def thinking_since(self, start: int) -> str:
        """The thinking behind its first ``start`` characters."""
        if start < self._thought_as_text:
            return self.thinking[start:]
        return self._thinking.since(start - self._thought_as_text)
