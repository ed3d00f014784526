"""Pictures of questions: each is kept once, whoever uses it, and goes with its last use.

Whoever uses a picture and whoever takes uses away lock its row first, in the order of the hashes.
So a picture that one server lets go is not lost to another that begins to use it meanwhile.
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

from app.provider.types import ImageNotes, SeenImage
from app.storage.ids import now
from app.storage.tables import Image, Message, MessageImage
from app.storage.tables import SeenImage as Seen


@dataclass(frozen=True, slots=True)
class Original:
    """The file that a picture was made from: its type, its pixels before turning, its bytes."""

    mime: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture of a question: a PNG known by its SHA-256 (hex), its pixels, and where it is from.

    ``content`` is empty where nobody has asked for it; ``size`` is its length in bytes.
    """

    sha256: str
    width: int
    height: int
    size: int
    original: Original
    notes: ImageNotes
    content: bytes = field(default=b"", repr=False)


class ImagePosition(NamedTuple):
    """A message, by its ``seq``, and the position of an image in it."""

    seq: int
    position: int


# ---------------------------------------------------------------- using


# With DO NOTHING the row would not be locked, and could be gone before this transaction ends.
_KEEP = text(
    "INSERT INTO images (sha256, content, width, height, created_at)"
    " VALUES (:sha256, :content, :width, :height, :created_at)"
    " ON CONFLICT (sha256) DO UPDATE SET sha256 = excluded.sha256"
)


def attach(
    session: Session, conversation_id: str, message_id: str, images: Sequence[Attachment]
) -> None:
    """Keep the pictures of a question that is stored; they stand in their order."""
    keep(session, images)
    refer(session, conversation_id, message_id, images)


def refer(
    session: Session, conversation_id: str, message_id: str, images: Sequence[Attachment]
) -> None:
    """Let a question use pictures that ``keep`` holds."""
    rows = [
        {
            "conversation_id": conversation_id,
            "message_id": message_id,
            "position": position,
            "sha256": image.sha256,
            "notes": {name: note for name, note in asdict(image.notes).items() if note},
            **asdict(image.original),
        }
        for position, image in enumerate(images)
    ]
    if rows:
        session.execute(insert(MessageImage), rows)


def keep(session: Session, images: Iterable[Attachment]) -> None:
    """Store pictures that this transaction is going to use, or hold on to those that are there.

    All at once, also those of several questions: two who take some one after the other, in
    different orders, could wait for each other.
    """
    once = {image.sha256: image for image in images}
    for name in sorted(once):
        kept = {field: getattr(once[name], field) for field in ("content", "width", "height")}
        row = kept | {"sha256": name, "created_at": now()}
        session.connection().execute(_KEEP, row)


def see(session: Session, conversation_id: str, answer_id: str, seen: Iterable[SeenImage]) -> None:
    """Note what the model of an answer saw, in place of what was noted before."""
    place = {"conversation_id": conversation_id, "message_id": answer_id}
    session.execute(delete(Seen).filter_by(**place))
    rows = [place | {"position": at} | asdict(image) for at, image in enumerate(seen)]
    if rows:
        session.execute(insert(Seen), rows)


# ---------------------------------------------------------------- letting go


def forget(session: Session, conversation_id: str) -> None:
    """Take away the pictures of a conversation, and those that nobody else uses."""
    session.execute(delete(Seen).where(Seen.conversation_id == conversation_id))
    uses = delete(MessageImage).where(MessageImage.conversation_id == conversation_id)
    used = session.scalars(uses.returning(MessageImage.sha256)).all()
    _drop_unused(session, set(used))


def forget_some(session: Session, conversation_id: str, most: int) -> bool:
    """Take away some pictures of a conversation; whether there were any."""
    place = (MessageImage.message_id, MessageImage.position, MessageImage.sha256)
    mine = select(*place).where(MessageImage.conversation_id == conversation_id).limit(most)
    some = session.execute(mine).all()
    for message_id, position, _ in some:
        one = delete(MessageImage).filter_by(
            conversation_id=conversation_id, message_id=message_id, position=position
        )
        session.execute(one)
    _drop_unused(session, {row.sha256 for row in some})
    return bool(some)


def _drop_unused(session: Session, names: Collection[str]) -> None:
    if not names:
        return
    these = Image.sha256.in_(sorted(names))
    # A statement of its own: the next one sees who has come to use them while this one waited.
    session.execute(select(Image.sha256).where(these).order_by(Image.sha256).with_for_update())
    used = exists().where(MessageImage.sha256 == Image.sha256)
    options = {"synchronize_session": False}
    session.execute(delete(Image).where(these, ~used), execution_options=options)


# ---------------------------------------------------------------- looking


_ATTACHED = (
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


class Use(NamedTuple):
    """A picture, and the question that it belongs to."""

    position: ImagePosition
    message_id: str
    image: Attachment


def uses(session: Session, conversation_id: str) -> list[Use]:
    """The pictures of a conversation without their content, in the order of asking."""
    return _used(session, conversation_id, _ATTACHED)


def page(
    session: Session, conversation_id: str, limit: int, after: ImagePosition | None
) -> list[Use]:
    """Some of them, those that follow ``after``."""
    wanted = _ATTACHED.limit(limit)
    if after:
        here = tuple_(Message.seq, MessageImage.position)
        wanted = wanted.where(here > tuple_(literal(after.seq), literal(after.position)))
    return _used(session, conversation_id, wanted)


def _used(session: Session, conversation_id: str, wanted: Select[Any]) -> list[Use]:
    rows = session.execute(wanted, {"conversation": conversation_id})
    return [Use(ImagePosition(row[0], row[2]), row[1], _attached(*row[3:])) for row in rows]


def _attached(sha256: str, width: int, height: int, size: int, *original: Any) -> Attachment:
    *file, notes = original
    return Attachment(sha256, width, height, size, Original(*file), ImageNotes(**notes))


def contents(session: Session, names: Collection[str]) -> dict[str, bytes]:
    """The PNG files by their hashes."""
    if not names:
        return {}
    wanted = select(Image.sha256, Image.content).where(Image.sha256.in_(sorted(names)))
    return {row.sha256: row.content for row in session.execute(wanted)}


def content(session: Session, conversation_id: str, sha256: str) -> bytes | None:
    """One PNG, if the conversation uses it."""
    used = exists().where(
        MessageImage.conversation_id == conversation_id, MessageImage.sha256 == Image.sha256
    )
    return session.scalar(select(Image.content).where(Image.sha256 == sha256, used))


def seen(session: Session, conversation_id: str) -> dict[str, tuple[SeenImage, ...]]:
    """What the models saw, by the ids of their answers."""
    wanted = select(Seen).where(Seen.conversation_id == conversation_id)
    found: dict[str, tuple[SeenImage, ...]] = {}
    for row in session.scalars(wanted.order_by(Seen.message_id, Seen.position)):
        shown = SeenImage(row.sha256, row.width, row.height, row.tokens)
        found[row.message_id] = (*found.get(row.message_id, ()), shown)
    return found
