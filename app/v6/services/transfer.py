"""Exports conversations with all of their messages as files and imports them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from app.conversations.imports import ImportedConversation, store_import
from app.conversations.store import parts, transfer
from app.errors import MAX_FIELD_ERRORS, InvalidRequest
from app.media.intake import Intake
from app.provider.types import Message as MessageValue
from app.storage.database import Database
from app.storage.tables import Conversation, Message, MessageExtra
from app.v4.models.conversations import ConversationDetail
from app.v4.services import transfer as v4
from app.v4.services.conversations import detail
from app.v4.services.transfer import Download
from app.v5.models.transfer import ExportQuery
from app.v5.services import transfer as v5
from app.v5.services.transfer import ExportedConversation
from app.v6.models.transfer import Transfer, TransferredMessage
from app.v6.services.transfer_errors import field_errors, role_errors, value_of

# ---------------------------------------------------------------- export


async def export(
    database: Database, owner: str, conversation_id: str, query: ExportQuery, largest: int
) -> Download:
    """A conversation as a file that an import of up to ``largest`` bytes accepts.

    Raises ConversationNotFound, and InvalidRequest for more images than that.
    """
    if query.format == "markdown":
        return await v4.export(database, owner, conversation_id, query.format)
    most = largest - v5.RESERVED_BYTES if query.images else None
    whole, extras = await database.scan(_read_conversation, owner, conversation_id, most)
    text = await asyncio.to_thread(_json, whole, extras)
    name = v4.file_name(whole.conversation.title)
    return Download(f"{name}.json", "application/json", text)


Extras = dict[str, MessageExtra]
"""What messages have beside their texts, by message id."""


def _read_conversation(
    session: Session, owner: str, conversation_id: str, most: int | None
) -> tuple[ExportedConversation, Extras]:
    found, rows = transfer.read_conversation(session, owner, conversation_id)
    whole = ExportedConversation(found, rows, [], {}, {})
    if most is not None:
        whole = v5.with_images(session, found, rows, most)
    return whole, transfer.read_extras(session, conversation_id)


def _json(whole: ExportedConversation, extras: Extras) -> str:
    file = v5.file_fields(whole)
    if extras:
        file["version"] = 3
    for message, row in zip(file["conversation"]["messages"], whole.messages, strict=True):
        message["finish_reason"] = row.finish_reason
        if extra := extras.get(row.id):
            message.update(_extra_fields(extra, row, with_images="images" in message))
    return v4.to_json(Transfer.model_validate(file))


def _extra_fields(extra: MessageExtra, row: Message, *, with_images: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {"previous_id": extra.previous_id} if extra.previous_id else {}
    if extra.parts:
        fields["parts"] = list(_parts(extra.parts, row.content, with_images=with_images))
    return fields


def _parts(values: parts.Values, text: str, *, with_images: bool) -> Iterable[dict[str, Any]]:
    """The parts with their texts, and without the places of images that are left out."""
    for value in values:
        if value["type"] == "image" and not with_images:
            continue
        if value["type"] == "text":
            yield {"type": "text", "text": value.get("text", text)}
        elif value["type"] == "tool_result":
            content = _parts(value["content"], "", with_images=with_images)
            yield value | {"content": list(content)}
        else:
            yield value


# ---------------------------------------------------------------- import


async def import_file(
    database: Database, intake: Intake, owner: str, file: Transfer
) -> ConversationDetail:
    """Store the file's conversation under new ids; its images are decoded like all others.

    Raises InvalidRequest with every mistake, and what ``Intake.take`` raises.
    """
    made = await v4.prepare_import(owner, file, role_errors)
    if mistakes := list(islice(field_errors(file), MAX_FIELD_ERRORS)):
        raise InvalidRequest.of(mistakes)
    decoded = await v5.decode_images(intake, file)
    messages = file.conversation.messages
    sources = {made.new_ids[one.id]: one for one in messages}
    extras = {made.new_ids[one.id]: _extra(made, one) for one in messages}
    add_images = partial(v5.add_images, sources=sources, decoded=decoded)

    def add(session: Session, found: Conversation, rows: Sequence[Message]) -> None:
        beside = [extra for row in rows if (extra := extras[row.id])]
        transfer.add_with_extras(session, found, rows, beside)
        add_images(session, found, rows)

    def size(row: Message) -> int:
        source = sources[row.id]
        beside = sum(len(part.model_dump_json()) for part in source.parts)
        return len(row.content) + beside + v5.image_bytes(source, decoded)

    await store_import(database, made, add, size)
    return detail(made.conversation)


def _extra(made: ImportedConversation, source: TransferredMessage) -> MessageExtra | None:
    """What the message has beside its text; None for an ordinary question or answer."""
    value = value_of(source) if source.parts else MessageValue.of(source.role, source.content)
    listed = parts.is_listed(source.role, value.parts)
    if listed and not source.parts and source.previous_id is None:
        return None
    return MessageExtra(
        conversation_id=made.conversation.id,
        message_id=made.new_ids[source.id],
        listed=listed,
        previous_id=made.new_ids[source.previous_id] if source.previous_id else None,
        parts=parts.to_values(value.parts) if source.parts else None,
    )
