"""Runs parsers on answers that come in pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.chat.parsers.answer_events import AnswerEvents
from app.provider.formats.output_formats import HARMONY, HYPERCLOVAX_THINK
from app.provider.types import (
    Delta,
    End,
    Event,
    FinishReason,
    Message,
    Prompt,
    ThinkingDelta,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
)

CALL_ID = re.compile(r"call_[0-9a-zA-Z]{24}")

CHANNEL_MARKS = {
    "harmony": sorted(HARMONY.markers),
    "hyperclovax_think": sorted(HYPERCLOVAX_THINK.markers),
    "gemma4": ["<|channel>", "<channel|>"],
}
"""What must never show in an answer of a format with channels."""


def tool(name: str, **types: str | dict[str, object]) -> Tool:
    """A tool with parameters of these types."""
    properties = {key: {"type": one} if isinstance(one, str) else one for key, one in types.items()}
    return Tool(name, "", json.dumps({"type": "object", "properties": properties}))


TOOLS = (
    tool("weather", city="string", days="integer", units="string"),
    tool("now"),
    tool("save", text="string", tags="array", options="object", draft="boolean", size="number"),
)


@dataclass
class Parsed:
    """What came of an answer; two are equal but for the ids of their calls."""

    content: str = ""
    thinking: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    end: End | None = None
    tokens: list[int] = field(default_factory=list)


def prompt(
    tools: Sequence[Tool] = TOOLS, *, thinking: bool = True, choice: ToolChoice | None = None
) -> Prompt:
    return Prompt(
        (Message.of("user", "?"),),
        tools=tuple(tools),
        tool_choice=choice or ToolChoice(),
        thinking=thinking,
    )


def parse(
    name: str,
    pieces: Iterable[str],
    asked: Prompt | None = None,
    reason: FinishReason = "stop",
) -> Parsed:
    """Parse an answer of that format, given in pieces."""
    events: list[Event] = [Delta(piece) for piece in pieces]
    return collected(convert(name, [*events, End(reason, Usage(1, 1, 0))], asked or prompt()))


def convert(name: str, events: Iterable[Event], asked: Prompt) -> list[Event]:
    """The events of an answer in that format after parsing."""
    parsed = AnswerEvents.of(name, asked)
    if parsed is None:
        return list(events)
    return [made for event in events for made in parsed.convert(event)]


def collected(events: Iterable[Event]) -> Parsed:
    """Put the events together, as a client does, and check what every client relies on."""
    parsed = Parsed()
    for event in events:
        if isinstance(event, Delta | ThinkingDelta | ToolCallDelta):
            parsed.tokens += [token.token for token in event.tokens]
        if isinstance(event, Delta):
            parsed.content += event.text
        elif isinstance(event, ThinkingDelta):
            parsed.thinking += event.text
        elif isinstance(event, ToolCallDelta):
            _add_call(parsed, event)
        elif isinstance(event, End):
            parsed.end = event
    return parsed


def _add_call(parsed: Parsed, piece: ToolCallDelta) -> None:
    """A call's first piece has its id and name, and no arguments; the others have only those."""
    if piece.index == len(parsed.calls):
        assert CALL_ID.fullmatch(piece.id)
        assert piece.name
        assert not piece.arguments
        parsed.calls.append((piece.name, ""))
        return
    assert piece.index == len(parsed.calls) - 1
    assert (piece.id, piece.name) == ("", "")
    name, arguments = parsed.calls[-1]
    parsed.calls[-1] = name, arguments + piece.arguments
