"""Images of messages: each is stored once, and deleted together with its last use.

Transactions that add or delete uses of images first lock the rows of the images, in the order of
the hashes. So one server never deletes an image that another one begins to use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.orm import Session

from app.conversations.store.extras import IS_UNLISTED
from app.provider.types import ImageNotes, ImagePart, SeenImage
from app.storage.ids import now
from app.storage.tables import Image, Message, MessageImage
from app.storage.tables import SeenImage as Seen


@dataclass(frozen=True, slots=True)
class Original:
    """The file that an image was made from: its type, its pixels before rotation, its bytes."""

    mime: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image of a question: the SHA-256 (hex) of its PNG, its pixels, and its original.

    ``content`` is empty if it was not read from the database; ``size`` is its length in bytes.
    """

    sha256: str
    width: int
    height: int
    size: int
    original: Original
    notes: ImageNotes
    content: bytes = field(default=b"", repr=False)


def attachment_of(image: ImagePart) -> Attachment:
    """An image that came as a part of a message; its original is taken to be the PNG."""
    size = len(image.content)
    original = Original(image.mime, image.width, image.height, size)
    return Attachment(
        image.sha256, image.width, image.height, size, original, image.notes, image.content
    )


class ImagePosition(NamedTuple):
    """A message, by its ``seq``, and the position of an image in it."""

    seq: int
    position: int


# ---------------------------------------------------------------- storing


# DO NOTHING would not lock the row, and another transaction could delete it.
_UPSERT_IMAGE = text(
    "INSERT INTO images (sha256, content, width, height, created_at)"
    " VALUES (:sha256, :content, :width, :height, :created_at)"
    " ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256"
)


def attach_images(
    session: Session, conversation_id: str, message_id: str, images: Sequence[Attachment]
) -> None:
    """Store the images of a stored question, in their order."""
    store_contents(session, images)
    add_uses(session, conversation_id, message_id, images)


def add_uses(
    session: Session, conversation_id: str, message_id: str, images: Sequence[Attachment]
) -> None:
    """Let a question use images that ``store_contents`` has stored or locked."""
    rows = [
        {
            "conversation_id": conversation_id,
            "message_id": message_id,
            "position": position,
            "sha256": image.sha256,
            "notes": {name: note for name, note in image.notes.as_dict().items() if note},
            **asdict(image.original),
        }
        for position, image in enumerate(images)
    ]
    if rows:
        session.execute(insert(MessageImage), rows)


def store_contents(session: Session, images: Iterable[Attachment]) -> None:
    """Store images that this transaction is going to use; lock those that are there already.

    Call it once per transaction, with the images of all questions: two transactions that lock
    images in different orders could wait for each other.
    """
    by_hash = {image.sha256: image for image in images}
    for sha256 in sorted(by_hash):
        image = by_hash[sha256]
        row = {
            "sha256": sha256,
            "content": image.content,
            "width": image.width,
            "height": image.height,
            "created_at": now(),
        }
        session.connection().execute(_UPSERT_IMAGE, row)


def record_seen_images(
    session: Session, conversation_id: str, answer_id: str, seen: Iterable[SeenImage]
) -> None:
    """Record which images the model of an answer saw; replaces an earlier record."""
    ids = {"conversation_id": conversation_id, "message_id": answer_id}
    session.execute(delete(Seen).filter_by(**ids))
    rows = [ids | {"position": at} | image.as_dict() for at, image in enumerate(seen)]
    if rows:
        session.execute(insert(Seen), rows)


# ---------------------------------------------------------------- deleting


def delete_uses(session: Session, conversation_id: str) -> None:
    """Delete the uses of images in a conversation, and the images that are then unused."""
    session.execute(delete(Seen).where(Seen.conversation_id == conversation_id))
    uses = delete(MessageImage).where(MessageImage.conversation_id == conversation_id)
    used = session.scalars(uses.returning(MessageImage.sha256)).all()
    _delete_unused(session, set(used))


def delete_uses_of(session: Session, conversation_id: str, message_id: str) -> None:
    """Like ``delete_uses`` for those of one message."""
    ids = {"conversation_id": conversation_id, "message_id": message_id}
    session.execute(delete(Seen).filter_by(**ids))
    uses = delete(MessageImage).filter_by(**ids)
    used = session.scalars(uses.returning(MessageImage.sha256)).all()
    _delete_unused(session, set(used))


def delete_some_uses(session: Session, conversation_id: str, most: int) -> bool:
    """Like ``delete_uses`` for up to ``most`` uses; whether there were any."""
    columns = (MessageImage.message_id, MessageImage.position, MessageImage.sha256)
    uses = select(*columns).where(MessageImage.conversation_id == conversation_id).limit(most)
    rows = session.execute(uses).all()
    for message_id, position, _ in rows:
        one = delete(MessageImage).filter_by(
            conversation_id=conversation_id, message_id=message_id, position=position
        )
        session.execute(one)
    _delete_unused(session, {row.sha256 for row in rows})
    return bool(rows)


def _delete_unused(session: Session, names: Collection[str]) -> None:
    if not names:
        return
    these = Image.sha256.in_(sorted(names))
    # A separate statement: the next one then sees uses that were added while this one waited.
    session.execute(select(Image.sha256).where(these).order_by(Image.sha256).with_for_update())
    used = exists().where(MessageImage.sha256 == Image.sha256)
    options = {"synchronize_session": False}
    session.execute(delete(Image).where(these, ~used), execution_options=options)


# ---------------------------------------------------------------- reading


_USES = (
    select(
        Message.seq,
        MessageImage.message_id,
        MessageImage.position,
        MessageImage.sha256,
        Image.width,
        Image.height,
        func.length(Image.content),
        MessageImage.mime,
        MessageImage.width,
        MessageImage.height,
        MessageImage.bytes,
        MessageImage.notes,
    )
    .join(Image, Image.sha256 == MessageImage.sha256)
    .join(
        Message,
        and_(
            Message.id == MessageImage.message_id,
            Message.conversation_id == MessageImage.conversation_id,
        ),
    )
    .where(MessageImage.conversation_id == bindparam("conversation"))
    .order_by(Message.seq, MessageImage.position)
)


class ImageUse(NamedTuple):
    """An image and the question that it belongs to."""

    position: ImagePosition
    message_id: str
    image: Attachment


def list_uses(session: Session, conversation_id: str) -> list[ImageUse]:
    """The images of a conversation without their content, in the order of its questions."""
    return _read_uses(session, conversation_id, _USES)


def list_uses_page(
    session: Session, conversation_id: str, limit: int, after: ImagePosition | None
) -> list[ImageUse]:
    """Up to ``limit`` of those of listed messages, those that follow ``after``."""
    wanted = _USES.where(~IS_UNLISTED).limit(limit)
    if after:
        here = tuple_(Message.seq, MessageImage.position)
        wanted = wanted.where(here > tuple_(literal(after.seq), literal(after.position)))
    return _read_uses(session, conversation_id, wanted)


def _read_uses(session: Session, conversation_id: str, wanted: Select[Any]) -> list[ImageUse]:
    rows = session.connection().execute(wanted, {"conversation": conversation_id})
    return [ImageUse(ImagePosition(row[0], row[2]), row[1], _attachment(*row[3:])) for row in rows]


def _attachment(sha256: str, width: int, height: int, size: int, *original: Any) -> Attachment:
    *file, notes = original
    return Attachment(sha256, width, height, size, Original(*file), ImageNotes(**notes))


def read_contents(session: Session, names: Collection[str]) -> dict[str, bytes]:
    """The content of images as PNG, by hash."""
    if not names:
        return {}
    wanted = select(Image.sha256, Image.content).where(Image.sha256.in_(sorted(names)))
    return {row.sha256: row.content for row in session.execute(wanted)}


def read_content(session: Session, conversation_id: str, sha256: str) -> bytes | None:
    """The PNG of one image; None if the conversation does not use it."""
    used = exists().where(
        MessageImage.conversation_id == conversation_id, MessageImage.sha256 == Image.sha256
    )
    return session.scalar(select(Image.content).where(Image.sha256 == sha256, used))


def read_seen_images(session: Session, conversation_id: str) -> dict[str, tuple[SeenImage, ...]]:
    """The images that models saw, by the ids of their answers."""
    wanted = select(Seen).where(Seen.conversation_id == conversation_id)
    found: dict[str, tuple[SeenImage, ...]] = {}
    for row in session.scalars(wanted.order_by(Seen.message_id, Seen.position)):
        shown = SeenImage(row.sha256, row.width, row.height, row.tokens)
        found[row.message_id] = (*found.get(row.message_id, ()), shown)
    return found
