"""Items of the input as messages of the domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.errors import pointer
from app.media.image_source import ImageSource
from app.openai.errors import InvalidParameter
from app.openai.models.response_input import InputItem, InputPart
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

_ROLES: dict[str, Role] = {"user": "user", "system": "developer", "developer": "developer"}
"""A system text among messages came later than the first one."""

_ORDER = {ThinkingPart: 0, TextPart: 1, ToolCallPart: 2}
"""In which order the parts of one answer come; what comes out of order begins another answer."""


def image_sources(items: Sequence[InputItem]) -> list[ImageSource]:
    """Where the images of all items come from, in order; raises InvalidParameter."""
    return [
        _source(part, at, item)
        for at, item in enumerate(items)
        for part in item.parts
        if part.type == "input_image"
    ]


def _source(part: InputPart, at: int, item: InputItem) -> ImageSource:
    if item.type != "function_call_output" and item.role != "user":
        where = pointer("input", at, "content")
        raise InvalidParameter(where, f"A message of the {item.role or 'model'} has no images.")
    return ImageSource(url=part.image_url, detail=part.detail)


def input_messages(items: Sequence[InputItem], images: Sequence[ImagePart]) -> tuple[Message, ...]:
    """The messages; ``images`` are those of their sources, in the same order.

    The parts of one answer are one message, and so are results that come together. An answer
    without text and calls is left out: it says nothing.
    """
    left = iter(images)
    messages: list[Message] = []
    for item in items:
        role, parts = _role(item), _parts(item, left)
        if messages and _belongs(messages[-1], role, parts):
            messages[-1] = Message(role, (*messages[-1].parts, *parts))
        else:
            messages.append(Message(role, parts))
    return tuple(message for message in messages if _says_something(message))


def _role(item: InputItem) -> Role:
    if item.is_note:
        return "developer"
    if item.type == "function_call_output":
        return "tool"
    return _ROLES.get(item.role or "", "assistant")


def _parts(item: InputItem, images: Iterator[ImagePart]) -> tuple[Part, ...]:
    match item.type:
        case _ if item.is_note:
            return (TextPart(f"{item.name}: "), *_content(item.output, images))
        case "function_call":
            return (ToolCallPart(item.call_id or "", item.name or "", item.arguments or ""),)
        case "function_call_output":
            return (ToolResultPart(item.call_id or "", _content(item.output, images)),)
        case "reasoning":
            text = "".join(part.text_or_refusal for part in item.content or item.summary)
            return (ThinkingPart(text),) if text else ()
        case _:
            return _content(item.content, images)


def _content(
    sent: Sequence[InputPart], images: Iterator[ImagePart]
) -> tuple[TextPart | ImagePart, ...]:
    made = [
        next(images) if one.type == "input_image" else TextPart(one.text_or_refusal) for one in sent
    ]
    return tuple(part for part in made if not isinstance(part, TextPart) or part.text)


def _belongs(last: Message, role: Role, parts: Sequence[Part]) -> bool:
    if role != last.role or role not in {"assistant", "tool"} or not (last.parts and parts):
        return False
    if role == "tool":
        return True
    before, after = _place(last.parts[-1]), _place(parts[0])
    return before < after or before == after == _ORDER[ToolCallPart]


def _place(part: Part) -> int:
    return _ORDER.get(type(part), 1)


def _says_something(message: Message) -> bool:
    if message.role != "assistant":
        return True
    return any(isinstance(part, TextPart | ToolCallPart) for part in message.parts)
