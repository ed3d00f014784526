"""Pictures of conversations: taken in, listed and given."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.conversations.errors import ImageNotFound
from app.conversations.store import conversations
from app.conversations.store import images as store
from app.conversations.store.images import Attached, Original, Place, Use
from app.media.errors import TooManyImages
from app.media.image_source import Detail
from app.media.intake import Intake
from app.media.picture import Picture, Upload
from app.provider import types
from app.provider.types import ImageNotes
from app.storage.database import Database
from app.v5.models.images import (
    ConversationImage,
    ImagePage,
    OriginalImage,
    SeenImage,
    SentImage,
    StoredImage,
)
from app.web import paging
from app.web.paging import PageQuery


async def taken(
    intake: Intake, sent: Sequence[SentImage], uploads: Sequence[Upload], detail: Detail
) -> tuple[Attached, ...]:
    """Take in the pictures of a question; raises what ``Intake.take_all`` raises."""
    if len(sent) + len(uploads) > intake.policy.max_images:
        raise TooManyImages(len(sent) + len(uploads), intake.policy.max_images)
    pictures = await intake.take_all([image.source() for image in sent])
    told = [attached(picture, _notes(image)) for picture, image in zip(pictures, sent, strict=True)]
    for upload in uploads:
        picture = await intake.take_bytes(upload.content, upload.mime, detail)
        told.append(attached(picture, ImageNotes()))
    return tuple(told)


def _notes(image: SentImage) -> ImageNotes:
    return ImageNotes(image.ocr, image.lens_keywords, image.lens_local_keywords)


def attached(picture: Picture, notes: ImageNotes) -> Attached:
    """A picture as a question keeps it."""
    original = Original(
        picture.original_mime,
        picture.original_width,
        picture.original_height,
        picture.original_bytes,
    )
    size = len(picture.content)
    seen = (picture.sha256, picture.width, picture.height, size)
    return Attached(*seen, original, notes, picture.content)


# ---------------------------------------------------------------- what is told of them


def stored_image(image: Attached) -> StoredImage:
    """A kept picture, as it is told."""
    original = image.original
    return StoredImage(
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        size_bytes=image.size,
        original=OriginalImage(
            mime=original.mime,
            width=original.width,
            height=original.height,
            bytes=original.bytes,
        ),
        ocr=image.notes.ocr,
        lens_keywords=image.notes.lens_keywords,
        lens_local_keywords=image.notes.lens_local_keywords,
    )


def seen_image(image: types.SeenImage) -> SeenImage:
    """A picture as the model saw it, as it is told."""
    return SeenImage(
        sha256=image.sha256, width=image.width, height=image.height, tokens=image.tokens
    )


async def listed(
    database: Database, owner: str, conversation_id: str, query: PageQuery, page_size: int
) -> ImagePage:
    """A page of a conversation's pictures; raises ConversationNotFound, InvalidRequest."""
    scope, limit = ("images", owner, conversation_id), query.limit or page_size
    seen = paging.place(query.cursor, *scope)
    after = _position(seen) if seen else None
    found = await database.read(_page, owner, conversation_id, limit + 1, after)
    page = found[:limit]
    last = page[-1].place if len(found) > limit else None
    return ImagePage(
        images=[
            ConversationImage(**dict(stored_image(use.image)), message_id=use.message_id)
            for use in page
        ],
        next_cursor=_cursor(last, *scope) if last else None,
    )


def _cursor(place: Place, *scope: str) -> str:
    return paging.cursor(paging.Place(place.seq, str(place.position)), *scope)


def _position(place: paging.Place) -> Place:
    if not place.id.isdecimal() or len(place.id) > 9:
        raise paging.foreign()
    return Place(place.at, int(place.id))


def _page(
    session: Session, owner: str, conversation_id: str, limit: int, after: Place | None
) -> list[Use]:
    found = conversations.owned(session, owner, conversation_id)
    return store.page(session, found.id, limit, after)


async def given(database: Database, owner: str, conversation_id: str, sha256: str) -> bytes:
    """The PNG; raises ConversationNotFound, ImageNotFound."""
    return await database.read(_content, owner, conversation_id, sha256)


def _content(session: Session, owner: str, conversation_id: str, sha256: str) -> bytes:
    found = conversations.owned(session, owner, conversation_id)
    content = None if "\0" in sha256 else store.content(session, found.id, sha256)
    if content is None:
        raise ImageNotFound(sha256)
    return content
