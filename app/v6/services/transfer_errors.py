"""What may be wrong with a file of v6, beyond what v4 and v5 find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.conversations.store import parts
from app.errors import FieldError
from app.provider.types import Message, ToolResultPart
from app.v4.services import transfer as v4
from app.v5.services import transfer as v5
from app.v6.models.transfer import Transfer, TransferredConversation, TransferredMessage

_OF_ROLE = {
    "user": {"text", "image"},
    "assistant": {"text", "thinking", "tool_call"},
    "tool": {"tool_result"},
    "developer": {"text"},
}
"""Kinds of parts that the messages of a role may have."""


def value_of(source: TransferredMessage) -> Message:
    """The message of the file's parts, with ``parts.IMAGE`` in the places of images."""
    values = [part.model_dump() for part in source.parts]
    return Message(source.role, parts.from_values(values, ""))


def is_listed(source: TransferredMessage) -> bool:
    """Whether it is a question or the text of an answer."""
    return parts.is_listed(source.role, value_of(source).parts)


def role_errors(message: TransferredMessage, where: str) -> Iterator[FieldError]:
    """Mistakes in fields that only some roles have."""
    if message.role == "tool":
        if message.content:
            yield FieldError(f"{where}/content", "the text of results is in parts")
        if not message.parts:
            yield FieldError(f"{where}/parts", "a message of tools has results")
        message = message.model_copy(update={"content": "-"})  # the rest is that of a question
    yield from v4.role_errors(message, where)


def field_errors(file: Transfer) -> Iterator[FieldError]:
    """All mistakes, in the order of the file."""
    yield from v5.field_errors(file, image_roles=("user", "tool"))
    messages = file.conversation.messages
    unlisted = {message.id for message in messages if not is_listed(message)}
    if file.version < 3 and (unlisted or any(one.parts or one.previous_id for one in messages)):
        yield FieldError("/version", "a file with parts or other roles is version 3")
    if file.conversation.active_leaf_id in unlisted:
        detail = "a branch ends with a question or the text of an answer"
        yield FieldError("/conversation/active_leaf_id", detail)
    yield from _place_errors(file.conversation, unlisted)
    for at, message in enumerate(messages):
        if message.parts:
            yield from _part_errors(message, f"/conversation/messages/{at}")


def _place_errors(
    conversation: TransferredConversation, unlisted: set[str]
) -> Iterator[FieldError]:
    before: dict[str, TransferredMessage] = {}
    for at, message in enumerate(conversation.messages):
        where = f"/conversation/messages/{at}"
        if message.parent_id in unlisted:
            yield FieldError(
                f"{where}/parent_id", "a parent is a question or the text of an answer"
            )
        if message.previous_id is not None:
            previous = before.get(message.previous_id)
            behind = previous and previous.parent_id == message.parent_id
            if message.previous_id not in unlisted or not behind:
                detail = "must be a message of tools or a developer before it, with its parent"
                yield FieldError(f"{where}/previous_id", detail)
        before[message.id] = message


def _part_errors(message: TransferredMessage, where: str) -> Iterator[FieldError]:
    for at, part in enumerate(message.parts):
        if part.type not in _OF_ROLE[message.role]:
            detail = f"a message of the role {message.role} has no {part.type}"
            yield FieldError(f"{where}/parts/{at}", detail)
    value = value_of(message)
    if value.text != message.content:
        yield FieldError(f"{where}/content", "must be the text of all parts")
    if _count_images(value) != len(message.images):
        yield FieldError(f"{where}/images", "parts must have one place for each of them")


def _count_images(value: Message) -> int:
    inside: Sequence[object] = [
        one
        for part in value.parts
        for one in (part.content if isinstance(part, ToolResultPart) else (part,))
    ]
    return sum(one is parts.IMAGE for one in inside)
