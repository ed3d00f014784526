"""Messages of the domain as items, in output, in input and in conversations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.conversations.store.answers import AnswerKey
from app.openai.translate import response_ids as ids
from app.provider.types import (
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

Fields = dict[str, Any]


def answer_items(
    key: AnswerKey, parts: Sequence[Part], status: str, logprobs: Sequence[Fields] = ()
) -> list[Fields]:
    """The items of an answer: its thinking, its text, its calls.

    White space beside calls is no text. An answer without any of them is an empty text.
    """
    thinking = "".join(part.text for part in parts if isinstance(part, ThinkingPart))
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    items = [reasoning_item(key, thinking)] if thinking else []
    if text.strip() or not calls:
        items.append(text_item(key, text, status, logprobs))
    return items + [call_item(key, at, call, status) for at, call in enumerate(calls)]


def reasoning_item(key: AnswerKey, thinking: str) -> Fields:
    """What the model thought."""
    content = [reasoning_part(thinking)] if thinking else []
    name = ids.item_id(ids.REASONING, key)
    return {"type": "reasoning", "id": name, "summary": [], "content": content}


def reasoning_part(thinking: str) -> Fields:
    """The part of an item that holds thinking."""
    return {"type": "reasoning_text", "text": thinking}


def text_item(
    key: AnswerKey, text: str | None, status: str, logprobs: Sequence[Fields] = ()
) -> Fields:
    """What the model said; None: nothing yet."""
    return {
        "type": "message",
        "id": ids.item_id(ids.MESSAGE, key),
        "status": status,
        "role": "assistant",
        "content": [] if text is None else [text_part(text, logprobs)],
    }


def text_part(text: str, logprobs: Sequence[Fields] = ()) -> Fields:
    """The part of an item that holds what the model said."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def call_item(key: AnswerKey, at: int, call: ToolCallPart, status: str) -> Fields:
    """A call of a function."""
    return {
        "type": "function_call",
        "id": ids.item_id(ids.CALL, key, at),
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }


def message_items(key: AnswerKey, message: Message) -> list[Fields]:
    """The items of a complete message."""
    if message.role == "assistant":
        return answer_items(key, message.parts, "completed")
    if message.role == "tool":
        return list(_results(key, message.parts))
    return [
        {
            "type": "message",
            "id": ids.item_id(ids.MESSAGE, key),
            "status": "completed",
            "role": message.role,
            "content": [_input_part(part) for part in message.parts],
        }
    ]


def _results(key: AnswerKey, parts: Sequence[Part]) -> Iterator[Fields]:
    results = [part for part in parts if isinstance(part, ToolResultPart)]
    for at, result in enumerate(results):
        has_images = any(isinstance(one, ImagePart) for one in result.content)
        yield {
            "type": "function_call_output",
            "id": ids.item_id(ids.RESULT, key, at),
            "call_id": result.call_id,
            "output": [*map(_input_part, result.content)] if has_images else result.text,
            "status": "completed",
        }


def _input_part(part: Part) -> Fields:
    if isinstance(part, ImagePart):
        return {
            "type": "input_image",
            "image_url": part.data_url,
            "detail": "auto",
            "file_id": None,
        }
    return {"type": "input_text", "text": part.text if isinstance(part, TextPart) else ""}
