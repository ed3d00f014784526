"""Messages as OpenAI's API writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.provider.engines.upstream.features import Features
from app.provider.engines.upstream.json_fields import Fields
from app.provider.errors import UnsupportedInput
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)


class MessageWriter:
    """Writes messages for a server; raises UnsupportedInput for what it does not take."""

    def __init__(self, server: str, features: Features) -> None:
        self._server = server
        self._features = features

    def write(self, messages: Sequence[Message]) -> list[Fields]:
        """The messages; results of several calls become one message each."""
        return [fields for message in messages for fields in self._message(message)]

    def _message(self, message: Message) -> Iterable[Fields]:
        if message.role == "tool":
            results = [part for part in message.parts if isinstance(part, ToolResultPart)]
            return map(self._result, results)
        if message.role == "assistant":
            return (self._answer(message),)
        role = "system" if message.role == "developer" else message.role
        return ({"role": role, "content": self._content(message.parts)},)

    def _answer(self, message: Message) -> Fields:
        """An earlier answer; its thinking goes where the server has a place for it."""
        calls = [_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
        fields: Fields = {"role": "assistant", "content": message.text or (None if calls else "")}
        thinking = "".join(part.text for part in message.parts if isinstance(part, ThinkingPart))
        if thinking and self._features.thinking:
            fields[self._features.thinking] = thinking
        if calls:
            fields["tool_calls"] = calls
        return fields

    def _result(self, result: ToolResultPart) -> Fields:
        if not self._features.tool_images:
            self._refuse_images(result.content, "in the result of a tool")
        content = self._content(result.content)
        if result.is_error and isinstance(content, str):
            content = f"Error: {content}"
        return {"role": "tool", "tool_call_id": result.call_id, "content": content}

    def _content(self, parts: Sequence[Part]) -> str | list[Fields]:
        """A text where there is no image, as some servers take nothing else."""
        if not any(isinstance(part, ImagePart) for part in parts):
            return "".join(part.text for part in parts if isinstance(part, TextPart))
        if not self._features.images:
            self._refuse_images(parts, "to this model")
        return [_part(part) for part in parts if isinstance(part, TextPart | ImagePart)]

    def _refuse_images(self, parts: Sequence[Part], where: str) -> None:
        if any(isinstance(part, ImagePart) for part in parts):
            raise UnsupportedInput(f"The server {self._server} takes no pictures {where}.")


def _call(part: ToolCallPart) -> Fields:
    function = {"name": part.name, "arguments": part.arguments}
    return {"id": part.id, "type": "function", "function": function}


def _part(part: TextPart | ImagePart) -> Fields:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.data_url}}
