"""Exports conversations with their images as files and imports them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from app.conversations.imports import store_import
from app.conversations.store import images, transfer
from app.conversations.store.images import Attachment, ImageUse, Original
from app.errors import MAX_FIELD_ERRORS, FieldError, InvalidRequest
from app.media.image_source import ImageSource
from app.media.intake import Intake
from app.provider.types import ImageNotes, SeenImage
from app.storage.database import Database
from app.storage.tables import Conversation, Message
from app.v4.models.conversations import ConversationDetail
from app.v4.services import transfer as v4
from app.v4.services.conversations import detail
from app.v4.services.transfer import Download
from app.v5.models.transfer import (
    MOST_IMAGES,
    ExportQuery,
    Transfer,
    TransferredImage,
    TransferredMessage,
    TransferredSeen,
)
from app.v5.services.images import attachment

RESERVED_BYTES = 2**20
"""Bytes of a file that are reserved for everything but its images."""


# ---------------------------------------------------------------- export


@dataclass(frozen=True, slots=True)
class ExportedConversation:
    """A conversation with all its messages and images."""

    conversation: Conversation
    messages: Sequence[Message]
    uses: list[ImageUse]
    seen: dict[str, tuple[SeenImage, ...]]
    contents: dict[str, bytes]


async def export(
    database: Database, owner: str, conversation_id: str, query: ExportQuery, largest: int
) -> Download:
    """A conversation as a file that an import of up to ``largest`` bytes accepts.

    Raises what ``v4.read_conversation`` raises, and InvalidRequest for more images than that.
    """
    if query.format == "markdown" or not query.images:
        return await v4.export(database, owner, conversation_id, query.format)
    whole = await database.scan(
        _read_conversation, owner, conversation_id, largest - RESERVED_BYTES
    )
    text = await asyncio.to_thread(_json, whole)
    name = v4.file_name(whole.conversation.title)
    return Download(f"{name}.json", "application/json", text)


def _read_conversation(
    session: Session, owner: str, conversation_id: str, most: int
) -> ExportedConversation:
    found, rows = v4.read_conversation(session, owner, conversation_id)
    return with_images(session, found, rows, most)


def with_images(
    session: Session, found: Conversation, rows: Sequence[Message], most: int
) -> ExportedConversation:
    """A conversation with its images, of ``most`` bytes; raises InvalidRequest for more."""
    conversation_id = found.id
    uses = images.list_uses(session, conversation_id)
    sizes = {use.image.sha256: use.image.size for use in uses}
    if sum(sizes.values()) * 4 // 3 > most or len(sizes) > MOST_IMAGES:
        raise InvalidRequest(
            "/images",
            f"The conversation's {len(sizes)} images take {sum(sizes.values())} bytes, too many "
            "for one file: export it with images=false and get them one by one.",
        )
    seen, contents = (
        images.read_seen_images(session, conversation_id),
        images.read_contents(session, sizes.keys()),
    )
    return ExportedConversation(found, rows, uses, seen, contents)


def _json(whole: ExportedConversation) -> str:
    return v4.to_json(Transfer.model_validate(file_fields(whole)))


def file_fields(whole: ExportedConversation) -> dict[str, Any]:
    """A conversation with its images as fields of the file."""
    file = v4.file_fields(whole.conversation, whole.messages)
    if whole.uses:
        file["version"] = 2
        conversation = file["conversation"]
        conversation["messages"] = [
            message | _image_fields(whole, message["id"]) for message in conversation["messages"]
        ]
        conversation["images"] = [
            {"sha256": name, "base64": base64.b64encode(content).decode()}
            for name, content in whole.contents.items()
        ]
    return file


def _image_fields(whole: ExportedConversation, message_id: str) -> dict[str, Any]:
    mine = [use.image for use in whole.uses if use.message_id == message_id]
    used = [{"sha256": one.sha256} | asdict(one.original) | one.notes.as_dict() for one in mine]
    seen = [one.as_dict() for one in whole.seen.get(message_id, ())]
    return ({"images": used} if used else {}) | ({"seen": seen} if seen else {})


# ---------------------------------------------------------------- import


async def import_file(
    database: Database, intake: Intake, owner: str, file: Transfer
) -> ConversationDetail:
    """Store the file's conversation under new ids; its images are decoded like all others.

    Raises InvalidRequest with every mistake, and what ``Intake.take`` raises.
    """
    made = await v4.prepare_import(owner, file)
    if mistakes := list(islice(field_errors(file), MAX_FIELD_ERRORS)):
        raise InvalidRequest.of(mistakes)
    decoded = await decode_images(intake, file)
    sources = {made.new_ids[one.id]: one for one in file.conversation.messages}
    add = partial(_add_messages, sources=sources, decoded=decoded)

    def size(row: Message) -> int:
        return len(row.content) + image_bytes(sources[row.id], decoded)

    await store_import(database, made, add, size)
    return detail(made.conversation)


async def decode_images(intake: Intake, file: Transfer) -> dict[str, Attachment]:
    """The images of a file by the hashes that it names."""
    decoded: dict[str, Attachment] = {}
    for image in file.conversation.images:
        picture = await intake.take(ImageSource(base64=image.base64))
        decoded[image.sha256] = attachment(picture, ImageNotes())
    return decoded


def field_errors(file: Transfer, image_roles: Sequence[str] = ("user",)) -> Iterator[FieldError]:
    """Mistakes in what the file says of images; messages of ``image_roles`` may have some."""
    conversation = file.conversation
    known = {image.sha256 for image in conversation.images}
    if len(known) < len(conversation.images):
        yield FieldError(pointer="/conversation/images", detail="a picture is there twice")
    if conversation.images and file.version == 1:
        yield FieldError(pointer="/version", detail="a file with pictures is version 2")
    for at, message in enumerate(conversation.messages):
        where = f"/conversation/messages/{at}"
        if message.images and message.role not in image_roles:
            yield FieldError(pointer=f"{where}/images", detail="only questions have images")
        if message.seen and message.role != "assistant":
            yield FieldError(pointer=f"{where}/seen", detail="only answers have seen images")
        for field in ("images", "seen"):
            yield from _unknown_hashes(getattr(message, field), known, f"{where}/{field}")


def _unknown_hashes(named: Sequence[Any], known: set[str], where: str) -> Iterator[FieldError]:
    for at, one in enumerate(named):
        if one.sha256 not in known:
            missing = "no picture of the file has this hash"
            yield FieldError(pointer=f"{where}/{at}/sha256", detail=missing)


def image_bytes(message: TransferredMessage, decoded: dict[str, Attachment]) -> int:
    """The bytes of a message's images."""
    return sum(decoded[one.sha256].size for one in message.images)


def _add_messages(
    session: Session,
    found: Conversation,
    rows: Sequence[Message],
    *,
    sources: dict[str, TransferredMessage],
    decoded: dict[str, Attachment],
) -> None:
    """Store messages with their images."""
    transfer.add_messages(session, found, rows)
    add_images(session, found, rows, sources=sources, decoded=decoded)


def add_images(
    session: Session,
    found: Conversation,
    rows: Sequence[Message],
    *,
    sources: Mapping[str, TransferredMessage],
    decoded: dict[str, Attachment],
) -> None:
    """Store the images of stored messages."""
    used = {one.sha256 for row in rows for one in sources[row.id].images}
    images.store_contents(session, [decoded[name] for name in used])
    for row in rows:
        images.add_uses(session, found.id, row.id, _attachments(sources[row.id], decoded))
        if seen := sources[row.id].seen:
            images.record_seen_images(session, found.id, row.id, _seen_images(seen, decoded))


def _attachments(message: TransferredMessage, decoded: dict[str, Attachment]) -> list[Attachment]:
    return [_attachment(decoded[one.sha256], one) for one in message.images]


def _attachment(image: Attachment, sent: TransferredImage) -> Attachment:
    notes = ImageNotes(sent.ocr, sent.lens_keywords, sent.lens_local_keywords)
    original = Original(sent.mime, sent.width, sent.height, sent.bytes)
    return Attachment(
        image.sha256,
        image.width,
        image.height,
        image.size,
        original if sent.bytes else image.original,
        notes,
        image.content,
    )


def _seen_images(
    seen: Sequence[TransferredSeen], decoded: dict[str, Attachment]
) -> list[SeenImage]:
    return [
        SeenImage(decoded[one.sha256].sha256, one.width, one.height, one.tokens) for one in seen
    ]
