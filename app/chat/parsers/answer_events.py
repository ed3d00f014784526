"""Runs a parser on the events of an answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial

from app.chat.parsers.choose import find_parser
from app.chat.parsers.offered_tools import OfferedTools
from app.chat.parsers.pieces import Arguments, CallStart, Parser, Piece, Text, Thought
from app.provider.formats.output_formats import format_named
from app.provider.types import (
    Delta,
    End,
    Event,
    Prompt,
    ThinkingDelta,
    Token,
    ToolCallDelta,
)


class AnswerEvents:
    """Turns events whose text is raw into events of text, thinking and tool calls.

    ``make_parser`` is called again where text turns out to be thinking. With ``calls``, white space
    beside calls is no text. Every token is carried by one event; those of marks by the next one.
    Thinking, and its tokens, are dropped unless ``shows_thinking``.
    """

    def __init__(
        self, make_parser: Callable[[], Parser], *, calls: bool, shows_thinking: bool
    ) -> None:
        self._make_parser = make_parser
        self._parser = make_parser()
        self._calls = calls
        self._shows_thinking = shows_thinking
        self._received = 0
        self._released = 0
        self._retracted_of_received = 0
        self._retracted = 0
        self._white_space = ""
        self._tokens: list[Token] = []
        self._call = -1
        self._events: list[Event] = []

    @classmethod
    def of(cls, name: str, prompt: Prompt) -> AnswerEvents | None:
        """What parses the answer to a prompt; None where it is text alone."""
        known = format_named(name)
        choice = prompt.tool_choice
        offered = prompt.tools if choice.mode != "none" else ()
        if not offered and not known.channels:
            return None
        tools = OfferedTools(offered, parallel=choice.parallel)
        make = partial(find_parser, known, tools)
        return cls(make, calls=bool(offered), shows_thinking=prompt.thinking)

    def convert(self, event: Event) -> list[Event]:
        """What an event becomes."""
        self._events = []
        if isinstance(event, Delta):
            self._tokens += event.tokens
            self._retract(event.retracted, event.text)
        elif isinstance(event, End):
            self._end(event)
        else:
            self._events.append(event)
        return self._events

    def _retract(self, retracted: int, text: str) -> None:
        """Add text, of which the beginning may have turned out to be thinking."""
        if retracted > self._retracted_of_received:
            length = max(0, retracted - self._received)
            self._add(self._parser.push(text[:length]))
            self._flush(cut=True)
            self._parser = self._make_parser()
            self._retracted_of_received, self._retracted = retracted, self._released
            self._received += length
            text = text[length:]
        self._received += len(text)
        self._add(self._parser.push(text))

    def _end(self, end: End) -> None:
        self._retract(end.retracted, "")
        self._flush(cut=end.reason != "stop")
        if self._tokens:
            self._release_tokens()
        called = self._call >= 0 and end.reason == "stop"
        reason = "tool_calls" if called else end.reason
        self._events.append(End(reason, end.usage, self._retracted, end.stop_string))

    def _flush(self, *, cut: bool) -> None:
        """Release what is held. After calls, white space is no text."""
        self._add(self._parser.finish(cut=cut))
        if self._white_space and self._call < 0:
            self._release(self._white_space)
        self._white_space = ""

    def _add(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            match piece:
                case Text(text):
                    self._add_text(text)
                case Thought(text):
                    self._add_thought(text)
                case CallStart(name):
                    self._start_call(name)
                case Arguments(text):
                    self._add_arguments(text)

    def _add_text(self, text: str) -> None:
        text, self._white_space = self._white_space + text, ""
        if self._calls:
            length = len(text.rstrip())
            text, self._white_space = text[:length], text[length:]
        if text:
            self._release(text)

    def _release(self, text: str) -> None:
        self._released += len(text)
        self._events.append(Delta(text, self._retracted, self._take_tokens()))

    def _add_thought(self, text: str) -> None:
        tokens = self._take_tokens()
        if self._shows_thinking and (text or tokens):
            self._events.append(ThinkingDelta(text, tokens))

    def _start_call(self, name: str) -> None:
        self._white_space = ""
        self._call += 1
        call_id = f"call_{secrets.token_hex(12)}"
        self._events.append(ToolCallDelta(self._call, call_id, name, "", self._take_tokens()))

    def _add_arguments(self, text: str) -> None:
        if text:
            delta = ToolCallDelta(self._call, arguments=text, tokens=self._take_tokens())
            self._events.append(delta)

    def _release_tokens(self) -> None:
        """Give the tokens of the last marks an event."""
        if self._call < 0:
            self._release("")
        else:
            self._events.append(ToolCallDelta(self._call, tokens=self._take_tokens()))

    def _take_tokens(self) -> tuple[Token, ...]:
        tokens, self._tokens = tuple(self._tokens), []
        return tokens
