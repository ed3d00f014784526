"""Messages of a request as messages of the domain."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from app.anthropic.models import blocks as wire
from app.anthropic.models.request import CountRequest
from app.errors import InvalidRequest
from app.media.image_source import ImageSource
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

Images = Iterator[ImagePart]
"""The images of the request, in the order of ``image_sources``."""


def image_sources(body: CountRequest) -> list[ImageSource]:
    """Where the images of the request come from, in order."""
    found = (block for message in body.messages for block in message.content)
    return [_source(image) for block in found for image in _images_of(block)]


def _images_of(block: object) -> Iterator[wire.ImageBlock]:
    if isinstance(block, wire.ImageBlock):
        yield block
    elif isinstance(block, wire.ToolResultBlock):
        yield from (one for one in block.content if isinstance(one, wire.ImageBlock))


def _source(block: wire.ImageBlock) -> ImageSource:
    if isinstance(block.source, wire.UrlSource):
        return ImageSource(url=block.source.url)
    return ImageSource(base64=block.source.data, mime=block.source.media_type)


def messages(body: CountRequest, decoded: Iterable[ImagePart]) -> tuple[Message, ...]:
    """The system text and the conversation; raises InvalidRequest."""
    images = iter(decoded)
    found = list(_system(body.system))
    for at, message in enumerate(body.messages):
        begins = all(one.role == "system" for one in found)
        made = list(_messages(message, images, begins=begins))
        if not made and message.role == "user":
            raise InvalidRequest(f"/messages/{at}/content", "a message of the user is not empty")
        found += made
    return tuple(found)


def require_question(sent: Sequence[wire.Message], longest_history: int) -> None:
    """Raise InvalidRequest for too many messages, and for a last one that is the model's."""
    if len(sent) - 1 > longest_history:
        raise InvalidRequest(
            "/messages",
            f"there are {len(sent)} messages; this server takes {longest_history} before the last "
            "one (the setting MAX_HISTORY_LENGTH)",
        )
    if sent[-1].role == "assistant":
        raise InvalidRequest(
            f"/messages/{len(sent) - 1}",
            "the last message is the user's: this server does not continue an answer that was "
            "begun (prefill)",
        )


def _system(sent: Iterable[wire.TextBlock]) -> Iterator[Message]:
    if parts := _lines(sent):
        yield Message("system", parts)


def _lines(sent: Iterable[wire.TextBlock]) -> tuple[Part, ...]:
    """Each block begins a line of its own."""
    texts = [block.text for block in sent if block.text]
    return tuple(TextPart(f"{text}\n") for text in texts[:-1]) + tuple(map(TextPart, texts[-1:]))


def _messages(message: wire.Message, images: Images, *, begins: bool) -> Iterator[Message]:
    match message:
        case wire.SystemMessage(content=content):
            if parts := _lines(content):
                yield Message("system" if begins else "developer", parts)
        case wire.AssistantMessage(content=content):
            if parts := tuple(part for block in content for part in _assistant_part(block)):
                yield Message("assistant", parts)
        case wire.UserMessage(content=content):
            yield from _user_messages(content, images)


def _user_messages(content: Iterable[wire.UserBlock], images: Images) -> Iterator[Message]:
    """Results of tools are messages of their own, between what the user says."""
    parts: list[Part] = []
    for block in content:
        if isinstance(block, wire.ToolResultBlock):
            if parts:
                yield Message("user", tuple(parts))
            parts = []
            yield Message("tool", (_result(block, images),))
        else:
            parts += _parts(block, images, begins=not parts)
    if parts:
        yield Message("user", tuple(parts))


def _result(block: wire.ToolResultBlock, images: Images) -> ToolResultPart:
    parts: list[TextPart | ImagePart] = []
    for one in block.content:
        parts += _parts(one, images, begins=not parts)
    return ToolResultPart(block.tool_use_id, tuple(parts), block.is_error)


def _parts(
    block: wire.TextBlock | wire.ImageBlock, images: Images, *, begins: bool
) -> list[TextPart | ImagePart]:
    """A block of text begins a line of its own."""
    if isinstance(block, wire.ImageBlock):
        return [next(images)]
    return [TextPart(block.text if begins else f"\n{block.text}")] if block.text else []


def _assistant_part(block: wire.AssistantBlock) -> Iterator[Part]:
    match block:
        case wire.TextBlock(text=text) if text:
            yield TextPart(text)
        case wire.ThinkingBlock(thinking=text) if text:
            yield ThinkingPart(text)
        case wire.ToolUseBlock():
            yield ToolCallPart(block.id, block.name, json.dumps(block.input, ensure_ascii=False))
