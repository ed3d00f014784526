"""Images of conversations: decoded, listed and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from app.conversations.errors import ImageNotFound
from app.conversations.store import conversations
from app.conversations.store import images as store
from app.conversations.store.images import Attachment, ImagePosition, ImageUse, Original
from app.media.errors import TooManyImages
from app.media.image_source import Detail
from app.media.intake import Intake
from app.media.picture import Picture, Upload
from app.provider.types import ImageNotes
from app.storage import cursors
from app.storage.cursors import CursorKey
from app.storage.database import Database
from app.v5.models.images import (
    ConversationImage,
    ImagePage,
    SentImage,
)
from app.web.paging import PageQuery


async def decode_images(
    intake: Intake, sent: Sequence[SentImage], uploads: Sequence[Upload], detail: Detail
) -> tuple[Attachment, ...]:
    """Decode the images of a question; raises what ``Intake.take_all`` raises."""
    if len(sent) + len(uploads) > intake.policy.max_images:
        raise TooManyImages(len(sent) + len(uploads), intake.policy.max_images)
    pictures = await intake.take_all([image.source() for image in sent])
    images = [
        attachment(picture, _notes(image)) for picture, image in zip(pictures, sent, strict=True)
    ]
    for upload in uploads:
        picture = await intake.take_bytes(upload.content, upload.mime, detail)
        images.append(attachment(picture, ImageNotes()))
    return tuple(images)


def _notes(image: SentImage) -> ImageNotes:
    return ImageNotes(image.ocr, image.lens_keywords, image.lens_local_keywords)


def attachment(picture: Picture, notes: ImageNotes) -> Attachment:
    """A decoded image as it is stored with a question."""
    original = Original(
        picture.original_mime,
        picture.original_width,
        picture.original_height,
        picture.original_bytes,
    )
    return Attachment(
        picture.sha256,
        picture.width,
        picture.height,
        len(picture.content),
        original,
        notes,
        picture.content,
    )


# ---------------------------------------------------------------- on the wire


def stored_image(image: Attachment) -> dict[str, Any]:
    """A stored image as fields of the wire model."""
    return {
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "size_bytes": image.size,
        "original": asdict(image.original),
        **image.notes.as_dict(),
    }


async def list_images(
    database: Database, owner: str, conversation_id: str, query: PageQuery, page_size: int
) -> ImagePage:
    """A page of a conversation's images; raises ConversationNotFound, InvalidRequest."""
    scope, limit = ("images", owner, conversation_id), query.limit or page_size
    key = cursors.decode(query.cursor, *scope)
    after = _position(key) if key else None
    found = await database.read(_page, owner, conversation_id, limit + 1, after)
    page = found[:limit]
    last = page[-1].position if len(found) > limit else None
    return ImagePage(
        images=[
            ConversationImage(**stored_image(use.image), message_id=use.message_id) for use in page
        ],
        next_cursor=_cursor(last, *scope) if last else None,
    )


def _cursor(position: ImagePosition, *scope: str) -> str:
    return cursors.encode(CursorKey(position.seq, str(position.position)), *scope)


def _position(key: CursorKey) -> ImagePosition:
    if not key.id.isdecimal() or len(key.id) > 9:
        raise cursors.invalid_cursor()
    return ImagePosition(key.at, int(key.id))


def _page(
    session: Session, owner: str, conversation_id: str, limit: int, after: ImagePosition | None
) -> list[ImageUse]:
    found = conversations.find_owned(session, owner, conversation_id)
    return store.list_uses_page(session, found.id, limit, after)


async def read_image(database: Database, owner: str, conversation_id: str, sha256: str) -> bytes:
    """The PNG of an image; raises ConversationNotFound, ImageNotFound."""
    return await database.read(_content, owner, conversation_id, sha256)


def _content(session: Session, owner: str, conversation_id: str, sha256: str) -> bytes:
    found = conversations.find_owned(session, owner, conversation_id)
    content = None if "\0" in sha256 else store.read_content(session, found.id, sha256)
    if content is None:
        raise ImageNotFound(sha256)
    return content
