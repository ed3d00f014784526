"""The turns of HyperCLOVA X SEED Think 14B."""

from __future__ import annotations

from typing import Literal

from app.chat.parsers.call_sections import CallSections, SectionMarks
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Piece, TextOnly, Thought
from app.chat.parsers.step_parser import StepParser
from app.provider.formats.markers import split_at_mark

_MARKS = ("<|im_start|>", "<|im_end|>")
_ROLES = ("/think\n", " -> tool/function_call\n", "\n")
"""How the header of a turn goes on after ``<|im_start|>assistant``: the prompt ends there."""
_HEADER_BEGIN = "assistant"
_LIST = SectionMarks(answer_openings=("[", "{"), json=True)


class HyperClovaXParser(StepParser):
    """Turns of the assistant: thinking, calls as a JSON list, and text for the reader."""

    def __init__(self, tools: OfferedTools) -> None:
        super().__init__()
        self._tools = tools
        self._state: Literal["role", "turn", "between"] = "role"
        self._turn: CallSections | TextOnly = TextOnly()
        self._thinks = False

    def finish(self, *, cut: bool) -> list[Piece]:
        """Return the rest at the end of the answer."""
        self._pieces = []
        is_header = self._state != "turn" and bool(self._part_of_header())
        self._add("" if is_header else self._buffer)
        self._pieces += self._turn.finish(cut=cut)
        self._buffer = ""
        return self._pieces

    def _step(self) -> bool:
        match self._state:
            case "role":
                return self._read_role()
            case "turn":
                return self._read_turn()
            case "between":
                return self._read_between()

    def _read_role(self) -> bool:
        """Read the role of a turn; a text without one is an answer."""
        role = next((one for one in _ROLES if self._buffer.startswith(one)), "")
        if not role and self._part_of_header():
            return False
        self._buffer = self._buffer[len(role) :]
        self._thinks = role == _ROLES[0]
        self._turn = CallSections(self._tools, _LIST) if role == _ROLES[1] else TextOnly()
        self._pieces += [Thought("")] if role else []
        self._state = "turn"
        return True

    def _part_of_header(self) -> bool:
        """Whether the buffer is the beginning of a role or of a turn."""
        begins = (*_ROLES, *_MARKS, _HEADER_BEGIN)
        return any(one.startswith(self._buffer) for one in begins)

    def _read_turn(self) -> bool:
        """Read a turn up to its end."""
        text, mark, self._buffer = split_at_mark(self._buffer, _MARKS)
        self._add(text)
        if mark:
            self._pieces += self._turn.finish(cut=False)
            self._turn, self._thinks, self._state = TextOnly(), False, "between"
        return bool(mark)

    def _read_between(self) -> bool:
        """Read what is between two turns, the beginning of a header included."""
        text = self._buffer.lstrip()
        if mark := next((one for one in _MARKS if text.startswith(one)), ""):
            self._buffer = text[len(mark) :]
            return True
        if text.startswith(_HEADER_BEGIN):
            self._buffer, self._state = text[len(_HEADER_BEGIN) :], "role"
            return True
        if not text or any(one.startswith(text) for one in (*_MARKS, _HEADER_BEGIN)):
            return False
        self._state = "turn"
        return True

    def _add(self, text: str) -> None:
        if self._thinks and text:
            self._pieces.append(Thought(text))
        else:
            self._pieces += self._turn.push(text)
