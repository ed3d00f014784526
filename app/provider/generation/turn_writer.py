"""From messages to the dictionaries that chat templates read."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from app.provider.generation.call_spelling import spelled_calls
from app.provider.generation.json_values import json_object, map_strings
from app.provider.generation.message_form import MessageForm
from app.provider.generation.model_tokenizer import ModelTokenizer
from app.provider.generation.plain_messages import Content
from app.provider.generation.special_tokens import SpecialTokenEscaper
from app.provider.types import (
    ImagePart,
    Message,
    Role,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

Turn = dict[str, Any]

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


@dataclass(slots=True)
class CallIds:
    """The ids of tool calls as a template wants them, and the name of the tool of each.

    Mistral's templates refuse ids that are not nine letters and digits; others take any. ``named``
    ids name the tool and count the calls of the conversation, as Kimi K2 does.
    """

    named: bool
    _calls: dict[str, tuple[str, str]] = field(default_factory=dict)
    _count: int = 0

    def add(self, call: ToolCallPart) -> str:
        """The id of the next call."""
        made = f"functions.{call.name}:{self._count}" if self.named else _short(call.id)
        self._count += 1
        self._calls[call.id] = (made, call.name)
        return made

    def of_result(self, result: ToolResultPart) -> tuple[str, str]:
        """The id of the call that a result belongs to, and its tool."""
        return self._calls.get(result.call_id) or (_short(result.call_id), "")


def _short(call_id: str) -> str:
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9]


def _text_item(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


class TurnWriter:
    """Writes the messages of a conversation for a template, special tokens escaped.

    ``image_text`` is what the template writes for a part ``{"type": "image"}``. Without it, images
    are marks in the texts.
    """

    def __init__(self, vocabulary: ModelTokenizer, image_text: str) -> None:
        self.escaper = SpecialTokenEscaper([], vocabulary.normalized)
        self.image_text = image_text
        self._mark = f"\ufdd0{secrets.token_hex(8)}\ufdd0"

    def split_images(self, text: str) -> list[str]:
        """A rendered prompt without its images, cut where they are."""
        return text.split(self.image_text or self._mark)

    def turns(self, messages: Sequence[Message], form: MessageForm) -> list[Turn]:
        """The messages as the template gets them; raises UnsupportedInput.

        Of a message of results only the first one is written.
        """
        ids = CallIds(form.tools.named_ids)
        return [turn for message in messages for turn in self.turns_of(message, form, ids)]

    def turns_of(self, message: Message, form: MessageForm, ids: CallIds) -> Iterator[Turn]:
        """What becomes of one message."""
        if message.role == "tool":
            yield self._result(message, form, ids)
            return
        parts = [part for part in message.parts if isinstance(part, Content)]
        thought = "".join(one.text for one in message.parts if isinstance(one, ThinkingPart))
        turn: Turn = {"role": message.role, "content": self._content(parts, message.role, form)}
        if thought and form.tools.thinking_key:
            turn[form.tools.thinking_key] = self.escaper.escape(thought)
        calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
        if calls and not parts:
            turn["content"] = None if form.tools.null_content else ""
        if calls and form.tools.structured:
            turn["tool_calls"] = [self._call(call, form, ids) for call in calls]
        elif calls:
            turn["content"] = self._spelled(message, form)
        yield turn

    def item(self, part: Content, role: Role) -> dict[str, str]:
        """A part in a list of parts."""
        if isinstance(part, ImagePart) and self.image_text:
            return {"type": "image"}
        return _text_item(self._text(part, role))

    def _content(
        self, parts: Sequence[Content], role: Role, form: MessageForm
    ) -> str | list[dict[str, str]] | None:
        """A text or a list of parts; always a list where the template writes an image's text."""
        images = self.image_text and any(isinstance(one, ImagePart) for one in parts)
        if role in form.listed or images:
            return [self.item(part, role) for part in parts]
        return "".join(self._text(part, role) for part in parts)

    def _text(self, part: Content, role: Role) -> str:
        """A text without special tokens; markers of thinking stay, for the template to remove."""
        if isinstance(part, ImagePart):
            return self._mark
        return self.escaper.escape(part.text, keep=role == "assistant")

    def _spelled(self, message: Message, form: MessageForm) -> str | list[dict[str, str]]:
        """A text and calls in one text."""
        written = []
        for is_call, run in groupby(message.parts, lambda part: isinstance(part, ToolCallPart)):
            parts = tuple(run)
            calls = [part for part in parts if isinstance(part, ToolCallPart)]
            texts = [part for part in parts if isinstance(part, Content)]
            written += [self._text(part, message.role) for part in texts]
            if is_call:
                written.append(spelled_calls(calls, form.tools.spelling, self.escaper.escape))
        text = "".join(written)
        return [_text_item(text)] if message.role in form.listed else text

    def _result(self, message: Message, form: MessageForm, ids: CallIds) -> Turn:
        result = next(one for one in message.parts if isinstance(one, ToolResultPart))
        call_id, name = ids.of_result(result)
        return {
            "role": "tool",
            "content": self._content(result.content, "tool", form),
            "tool_call_id": self.escaper.escape(call_id),
            "name": self.escaper.escape(name),
        }

    def _call(self, call: ToolCallPart, form: MessageForm, ids: CallIds) -> Turn:
        arguments: Any = self.escaper.escape(call.arguments.strip() or "{}")
        if not form.tools.string_arguments:
            value = json_object(call.arguments, f"The arguments of a call of {call.name!r}")
            arguments = map_strings(value, self.escaper.escape)
        function = {"name": self.escaper.escape(call.name), "arguments": arguments}
        call_id = self.escaper.escape(ids.add(call))
        return {"id": call_id, "type": "function", "function": function}
