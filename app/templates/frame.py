"""Applies a prompt template to a list of messages: to the last question, and as the system text."""

from __future__ import annotations

import asyncio

from msgspec import structs

from app.chat.request import SamplingOptions
from app.provider.types import ImagePart, Message, TextPart
from app.templates.rendering import CompiledTemplate, Values, fill_variables


async def frame(
    messages: tuple[Message, ...], sampling: SamplingOptions, compiled: CompiledTemplate | None
) -> tuple[tuple[Message, ...], SamplingOptions]:
    """The messages with the template around the last question, and its sampling as the default.

    A system text of the messages takes precedence over that of the template. Raises
    InvalidRequest for a template that needs variables, and RenderFailed.
    """
    if compiled is None:
        return messages, sampling
    values = fill_variables(compiled.template, {})
    framed = await asyncio.to_thread(_frame, messages, compiled, values)
    return framed, sampling.with_defaults(compiled.template.sampling)


def _frame(
    messages: tuple[Message, ...], compiled: CompiledTemplate, values: Values
) -> tuple[Message, ...]:
    framed = list(messages)
    asked = [at for at, message in enumerate(messages) if message.role == "user"]
    if asked:
        question = messages[asked[-1]]
        text = compiled.render_user(values, question.text)
        framed[asked[-1]] = _with_text(question, text)
    if any(message.instructs for message in messages):
        return tuple(framed)
    system = compiled.render_system(values)
    return (Message.of("system", system), *framed) if system else tuple(framed)


def _with_text(question: Message, text: str) -> Message:
    """The question with its texts replaced by one; images keep their order, before it."""
    images = [part for part in question.parts if isinstance(part, ImagePart)]
    return structs.replace(question, parts=(*images, TextPart(text)))
