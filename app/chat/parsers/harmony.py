"""The channels of harmony, in which gpt-oss answers."""

from __future__ import annotations

import re
from typing import Literal

from app.chat.parsers.json_scanner import JsonScanner
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, Piece, Text, Thought
from app.chat.parsers.step_parser import StepParser
from app.provider.formats.markers import first_mark, split_at_mark

_HEADER_BEGINS = ("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "to=")
"""With what an answer goes on where the prompt ends with ``<|start|>assistant``."""
_TEXT_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_HEADER_ENDS = ("<|message|>", *_TEXT_ENDS)
_MARKS_IN_TEXT = (*_TEXT_ENDS, "<|start|>", "<|channel|>", "<|constrain|>", "<|message|>")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.\-]+)")
_WORDS = ("assistant", "analysis", "commentary", "final", "json", "code")
_HEADER = re.compile(
    rf"(?:\s|(?:{'|'.join(_WORDS)})\b|to=[\w.\-]*|<\|(?:start|channel|constrain|message)\|>)*"
)
LONGEST_HEADER = 512
"""Characters of a header: more than a recipient with its channel takes."""


class HarmonyParser(StepParser):
    """Messages, each of them a header up to ``<|message|>`` and a text up to an end mark.

    The text of the channel analysis is thinking; a text to an offered tool, if it is a JSON object,
    is its arguments; all others are for the reader. Marks and headers are in none of them.
    """

    def __init__(self, tools: OfferedTools) -> None:
        super().__init__()
        self._tools = tools
        self._state: Literal["begin", "header", "text", "arguments"] = "begin"
        self._kind: type[Text | Thought] = Text
        self._tool = ""
        self._scanner: JsonScanner | None = None

    def finish(self, *, cut: bool) -> list[Piece]:
        """Return the rest at the end of the answer."""
        self._pieces = []
        while self._buffer:
            if self._step():
                continue
            if self._state != "header":
                break
            self._end_broken_header()
        self._add(self._buffer)
        self._buffer = ""
        return self._pieces

    def _step(self) -> bool:
        """One mark, or the text before it; False when more text is needed."""
        match self._state:
            case "begin":
                return self._begin()
            case "header":
                return self._read_header()
            case "text":
                return self._read_text()
            case "arguments":
                return self._read_arguments()

    def _begin(self) -> bool:
        text = self._buffer.lstrip()
        if not text or any(mark.startswith(text) and mark != text for mark in _HEADER_BEGINS):
            return False
        self._state = "header" if text.startswith(_HEADER_BEGINS) else "text"
        return True

    def _read_header(self) -> bool:
        found = first_mark(self._buffer, _HEADER_ENDS)
        if found and found[1] == "<|message|>":
            header = self._buffer[: found[0]]
            self._buffer = self._buffer[found[0] + len(found[1]) :]
            self._end_header(header)
        elif found or len(self._buffer) > LONGEST_HEADER:
            self._end_broken_header()
        else:
            return False
        return True

    def _end_broken_header(self) -> None:
        """Tell a header from a text where no ``<|message|>`` is between them."""
        match = _HEADER.match(self._buffer)
        header = match.group() if match else ""
        rest = self._buffer[len(header) :]
        half_a_word = header.endswith("|>") and any(word.startswith(rest) for word in _WORDS)
        self._buffer = "" if half_a_word else rest
        self._end_header(header)

    def _end_header(self, header: str) -> None:
        """Find out what the text after a header is."""
        channel, recipient = _CHANNEL.search(header), _RECIPIENT.search(header)
        self._kind = Thought if channel and channel[1] == "analysis" else Text
        self._state = "text"
        if recipient and self._tools.offers(recipient[1]):
            self._state, self._tool, self._scanner = "arguments", recipient[1], None
        else:
            self._pieces.append(Thought(""))

    def _read_text(self) -> bool:
        text, mark, self._buffer = split_at_mark(self._buffer, _MARKS_IN_TEXT)
        self._add(text)
        if not mark:
            return False
        begins_header = mark in {"<|start|>", "<|channel|>"}
        self._buffer = self._buffer[0 if begins_header else len(mark) :]
        self._state = "header" if begins_header or mark in _TEXT_ENDS else "text"
        return True

    def _read_arguments(self) -> bool:
        """Read the arguments, if the text is a JSON object."""
        if not self._scanner:
            text = self._buffer.lstrip()
            if not text:
                return False
            if text[0] != "{":
                self._state = "text"
                return True
            self._buffer, self._scanner = text, JsonScanner()
            self._pieces.append(self._tools.start(self._tool))
        at, accepted = self._scanner.feed(self._buffer)
        self._pieces.append(Arguments(accepted))
        self._buffer = self._buffer[at:]
        if self._scanner.done or self._scanner.broken:
            self._state, self._kind = "text", Text
        return bool(self._buffer)

    def _add(self, text: str) -> None:
        if text:
            self._pieces.append(self._kind(text))
