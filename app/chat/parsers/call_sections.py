"""Finds tool calls in an answer: what opens them, what separates them, what closes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.chat.parsers.json_call import JsonCall
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import CallReader, CallStart, Piece, Text
from app.provider.formats.markers import split_at_mark

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class SectionMarks:
    """What stands around the calls of a family.

    ``openings`` come before calls, ``call_openings`` are the first characters of a call.
    ``answer_openings`` are such where they begin the answer, and ``fences`` come before a call
    there, in a block of code. ``closings`` may be missing.
    ``separators`` come between calls that no list holds. ``json``: calls may be JSON objects.
    """

    openings: tuple[str, ...] = ()
    call_openings: tuple[str, ...] = ()
    answer_openings: tuple[str, ...] = ()
    fences: tuple[str, ...] = ()
    closings: tuple[str, ...] = ()
    separators: tuple[str, ...] = ()
    json: bool = False


class CallSections:
    """Text, then calls, then text.

    ``reader`` makes a reader of calls that are no JSON objects; None where all are. Calls may stand
    in a list. What looks like a call and turns out to be none is text, with what opened it.
    """

    def __init__(
        self,
        tools: OfferedTools,
        marks: SectionMarks,
        reader: Callable[[OfferedTools], CallReader] | None = None,
    ) -> None:
        self._tools = tools
        self._marks = marks
        self._make_reader = reader
        self._reader: CallReader = JsonCall(tools)
        self._step: Callable[[], bool] = self._begin
        self._buffer = ""
        self._opened = ""
        self._closings = marks.closings
        self._begun = False
        self._in_list = False
        self._closed = False
        self._pieces: list[Piece] = []

    def push(self, text: str) -> list[Piece]:
        """Add text; return what is decided."""
        self._buffer += text
        self._pieces = []
        while self._step():
            pass
        return self._pieces

    def finish(self, *, cut: bool) -> list[Piece]:
        """Return the rest at the end of the answer."""
        self._pieces = []
        if self._step == self._call and self._begun:
            self._pieces += self._reader.finish(self._buffer, cut=cut)
        elif self._step != self._after or not self._is_part(self._buffer, self._closings):
            self._add_text(self._opened + self._buffer)
        self._buffer = self._opened = ""
        return self._pieces

    # Each step below looks at the buffer and returns False when it needs more text.

    def _begin(self) -> bool:
        """The answer begins: with a call, or with text."""
        text = self._buffer.lstrip()
        if not text:
            return False
        at_once = text.startswith(self._marks.answer_openings)
        if fence := self._mark(text, self._marks.fences):
            self._opened = self._take(len(self._buffer) - len(text) + len(fence))
            self._closings = (_FENCE,)
        elif not at_once and self._is_part(text, self._marks.fences):
            return False
        self._step = self._open if at_once or fence else self._text
        return True

    def _text(self) -> bool:
        """Text, up to what opens calls."""
        text, mark, self._buffer = split_at_mark(self._buffer, self._openings)
        self._add_text(text)
        if not mark:
            return False
        if mark in self._marks.openings:
            self._opened = self._take(len(mark))
        self._in_list = self._closed = False
        self._closings = self._marks.closings
        self._step = self._open
        return True

    def _open(self) -> bool:
        """Before a call."""
        text = self._buffer.lstrip()
        if not text:
            return False
        self._opened += self._take(len(self._buffer) - len(text))
        if opening := self._mark(text, self._marks.openings):
            self._opened += self._take(len(opening))
        elif self._is_part(text, self._marks.openings):
            return False
        elif text[0] == "[" and not self._in_list:
            self._opened += self._take(1)
            self._in_list = True
        else:
            self._choose_reader(text[0])
        return True

    def _choose_reader(self, first: str) -> None:
        if first == "{" and self._marks.json:
            self._reader = JsonCall(self._tools)
        elif self._make_reader:
            self._reader = self._make_reader(self._tools)
        else:
            self._fail()
            return
        self._begun, self._step = False, self._call

    def _call(self) -> bool:
        """Inside a call; until it has begun, ``_opened`` is what becomes text if it is none."""
        reading = self._reader.read(self._buffer)
        self._opened += self._take(reading.consumed)
        self._begun |= any(isinstance(piece, CallStart) for piece in reading.pieces)
        self._opened = "" if self._begun else self._opened
        self._pieces += reading.pieces
        if reading.state == "failed":
            self._fail()
        elif reading.state == "done":
            self._step = self._after
            self._closed = not self._closings
        return reading.state != "more"

    def _after(self) -> bool:
        """After a call: what closes it, a further call, or text."""
        text = self._buffer.lstrip()
        if not text:
            return False
        if closing := self._mark(text, self._closings):
            self._buffer, self._closed = text[len(closing) :], True
        elif self._in_list and text[0] == "]":
            self._buffer, self._in_list = text[1:], False
        elif self._another(text):
            self._step = self._open
        elif self._is_part(text, (*self._closings, *self._openings)):
            return False
        else:
            self._step = self._open if self._may_be_call(text) else self._text
        return True

    def _another(self, text: str) -> bool:
        """Whether something opens or separates calls; takes a separator."""
        marks = self._marks
        if self._mark(text, self._openings):
            self._in_list = self._closed = False
            self._closings = marks.closings
            return True
        if separator := self._mark(text, (",",) if self._in_list else marks.separators):
            self._opened = self._take(len(self._buffer) - len(text) + len(separator))
            return True
        return False

    def _may_be_call(self, text: str) -> bool:
        """Whether a further call may begin at once: nothing has closed the last one."""
        inside = not self._closed and not self._in_list
        return inside and (self._make_reader is not None or (self._marks.json and text[0] == "{"))

    def _fail(self) -> None:
        """What was opened is no call."""
        self._add_text(self._opened)
        self._opened, self._step = "", self._text

    @property
    def _openings(self) -> tuple[str, ...]:
        return self._marks.openings + self._marks.call_openings

    def _add_text(self, text: str) -> None:
        if text:
            self._pieces.append(Text(text))

    def _take(self, length: int) -> str:
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    @staticmethod
    def _mark(text: str, marks: tuple[str, ...]) -> str:
        """The mark that the text begins with; empty if there is none."""
        return next((mark for mark in marks if text.startswith(mark)), "")

    @staticmethod
    def _is_part(text: str, marks: tuple[str, ...]) -> bool:
        """Whether the text is the beginning of a mark, white space apart."""
        part = text.strip()
        return any(mark.startswith(part) for mark in marks)
