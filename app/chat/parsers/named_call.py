"""Reads a call that is a name, a mark, and the arguments as a JSON object."""

from __future__ import annotations

import re

from app.chat.parsers.json_scanner import JsonScanner
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, Piece, ReadResult, ReadState

LONGEST_HEADER = 256
"""Characters before the arguments: more than any name with its marks."""


class NamedCall:
    """Reads the header up to ``{``, then the arguments, which stream as they come.

    ``header`` matches all that may stand before the arguments; its group is the name.
    """

    def __init__(self, tools: OfferedTools, header: re.Pattern[str]) -> None:
        self._tools = tools
        self._header = header
        self._scanner: JsonScanner | None = None

    def read(self, text: str) -> ReadResult:
        """Read on."""
        if self._scanner:
            return self._read_arguments(self._scanner, text, 0)
        before, brace, _ = text.partition("{")
        if not brace:
            too_long = len(text) > LONGEST_HEADER
            return ReadResult(len(text) if too_long else 0, [], "failed" if too_long else "more")
        match = self._header.fullmatch(before)
        if not match or not self._tools.offers(match[1]):
            return ReadResult(len(before), [], "failed")
        self._scanner = JsonScanner()
        reading = self._read_arguments(self._scanner, text, len(before))
        return reading._replace(pieces=[self._tools.start(match[1]), *reading.pieces])

    @staticmethod
    def _read_arguments(scanner: JsonScanner, text: str, at: int) -> ReadResult:
        at, accepted = scanner.feed(text, at)
        state: ReadState = "failed" if scanner.broken else "done" if scanner.done else "more"
        return ReadResult(at, [Arguments(accepted)], state)

    def finish(self, text: str, *, cut: bool) -> list[Piece]:
        """The arguments stay as they were written."""
        return []
