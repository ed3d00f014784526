"""Reads a call that spells every argument in tags of its own, its value as plain text."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from app.chat.parsers.convert_value import dump_string, schema_types, to_json
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, Piece, ReadResult, Text
from app.provider.formats.markers import partial_mark

LONGEST_TAG = 256
"""Characters of a tag with a name or a key: more than any has."""


class MarkupTags(NamedTuple):
    """The tags of a family. Groups of ``name`` and ``key`` are what they name.

    ``name_part`` is what the beginning of ``name`` looks like. A key's tag begins with
    ``key_open`` and is whole with ``key_end``. A value ends at ``value_end`` if one of ``follows``
    is next, white space apart: values may mention that tag. ``newlines``: one line end at the
    beginning and at the end of a value is no part of it.
    """

    name_part: re.Pattern[str]
    name: re.Pattern[str]
    key_open: str
    key: re.Pattern[str]
    key_end: str
    value_end: str
    follows: tuple[str, ...]
    call_end: str = ""
    newlines: bool = False


QWEN3_CODER_TAGS = MarkupTags(
    name_part=re.compile(r"<[^<>]{0,256}"),
    name=re.compile(r"<\s*function\s*=\s*([^<>\s]+)\s*>"),
    key_open="<",
    key=re.compile(r"<\s*parameter\s*=\s*([^<>]+?)\s*>"),
    key_end=">",
    value_end="</parameter>",
    follows=("<parameter=", "</function>", "</tool_call>"),
    call_end="</function>",
    newlines=True,
)
GLM_TAGS = MarkupTags(
    name_part=re.compile(r"[\w.\-]{1,256}[\\n\s]*"),
    name=re.compile(r"([\w.\-]+)(?:\\n|\s)*(?=<)"),
    key_open="<arg_key>",
    key=re.compile(r"<arg_key>\s*([^<>]+?)\s*</arg_key>\s*<arg_value>"),
    key_end="<arg_value>",
    value_end="</arg_value>",
    follows=("<arg_key>", "</tool_call>"),
)


class MarkupCall:
    """Reads the name, then keys and values; each value is passed on when it is whole."""

    def __init__(self, tools: OfferedTools, tags: MarkupTags) -> None:
        self._tools = tools
        self._tags = tags
        self._name = ""
        self._key: str | None = None
        self._value = ""
        self._doubtful_end: int | None = None
        self._separator = "{"
        self._text = ""
        self._pieces: list[Piece] = []
        self._done = False

    def read(self, text: str) -> ReadResult:
        """Read on."""
        self._text, self._pieces = text, []
        if not self._name and (nothing := self._read_name()):
            return nothing
        while not self._done and self._step():
            pass
        consumed = len(text) - len(self._text)
        return ReadResult(consumed, self._pieces, "done" if self._done else "more")

    def finish(self, text: str, *, cut: bool) -> list[Piece]:
        """End the value and the call, unless more should have come."""
        self._pieces = []
        after = ""
        if self._key is not None:
            before, ends, _ = text.partition(self._tags.value_end)
            self._value += before
            if cut and not ends:
                return [Arguments(self._part_of_value())]
            after = self._after_doubtful_end()
            self._end_value()
        if not cut:
            self._end()
        return [*self._pieces, Text(after)] if after else self._pieces

    def _read_name(self) -> ReadResult | None:
        """Begin the call; what to return where there is no name yet, or none at all."""
        match = self._tags.name.match(self._text)
        if match and self._tools.offers(match[1]):
            self._name, self._text = match[1], self._text[match.end() :]
            self._pieces.append(self._tools.start(self._name))
            return None
        if not match and self._tags.name_part.fullmatch(self._text):
            return ReadResult(0, [], "more")
        return ReadResult(1, [], "failed")

    def _step(self) -> bool:
        """Go on; False when more text is needed."""
        return self._read_key() if self._key is None else self._read_value()

    def _read_key(self) -> bool:
        """Read the tag of a key, or find that there is no further one."""
        text, tags = self._text.lstrip(), self._tags
        if match := tags.key.match(text):
            self._key, self._value, self._text = match[1], "", text[match.end() :]
            return True
        if tags.call_end and text.startswith(tags.call_end):
            self._text = text[len(tags.call_end) :]
            return self._end()
        begins = tags.key_open.startswith(text[: len(tags.key_open)])
        if begins and tags.key_end not in text and len(text) <= LONGEST_TAG:
            return False
        return self._end()

    def _read_value(self) -> bool:
        """Read a value up to its end."""
        before, ends, after = self._text.partition(self._tags.value_end)
        if not ends:
            held = partial_mark(before, [self._tags.value_end])
            self._value += before[: len(before) - held]
            self._text = before[len(before) - held :]
            return False
        following = re.sub(r"\s", "", after[:LONGEST_TAG])
        if any(following.startswith(tag) for tag in self._tags.follows):
            self._value += before
            self._text = after
            return self._end_value()
        self._text = self._text[len(before) :]
        self._value += before
        if any(tag.startswith(following) for tag in self._tags.follows):
            return False
        self._doubt(ends)
        self._text = after
        return True

    def _doubt(self, tag: str) -> None:
        """Take a tag as a part of the value: nothing that could follow a value follows it."""
        if self._doubtful_end is None:
            self._doubtful_end = len(self._value)
        self._value += tag

    def _after_doubtful_end(self) -> str:
        """Cut the value where its end was not taken for one, as no other came."""
        if self._doubtful_end is None:
            return ""
        value, self._value = self._value, self._value[: self._doubtful_end]
        return value[self._doubtful_end + len(self._tags.value_end) :]

    def _end_value(self) -> bool:
        value = self._trimmed().removesuffix("\n") if self._tags.newlines else self._value
        self._pieces.append(Arguments(self._begun() + to_json(value, self._schema())))
        self._key, self._separator, self._doubtful_end = None, ", ", None
        return True

    def _part_of_value(self) -> str:
        """The beginning of a value that is cut: of a string its characters, of others nothing."""
        types = schema_types(self._schema())
        if types and "string" not in types:
            return self._begun()
        return self._begun() + dump_string(self._trimmed())[:-1]

    def _begun(self) -> str:
        return f"{self._separator}{dump_string(self._key or '')}: "

    def _trimmed(self) -> str:
        return self._value.removeprefix("\n") if self._tags.newlines else self._value

    def _schema(self) -> Any:
        return self._tools.parameter(self._name, self._key or "")

    def _end(self) -> bool:
        self._pieces.append(Arguments("{}" if self._separator == "{" else "}"))
        self._done = True
        return True
