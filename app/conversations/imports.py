"""Stores imported conversations: small ones at once, large ones in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.conversations.store import removal, transfer
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.tables import Conversation, Message

MAX_PIECE_BYTES, MAX_PIECE_MESSAGES = 1_000_000, 200
"""Bytes and messages that an import stores in one transaction."""


@dataclass(frozen=True, slots=True)
class ImportedConversation:
    """Rows to be stored; ``new_ids`` maps ids of the file to ids of the database."""

    conversation: Conversation
    messages: list[Message]
    new_ids: dict[str, str]


Add = Callable[[Session, Conversation, Sequence[Message]], None]
"""Stores some messages of a new conversation, parents first."""


async def store_import(
    database: Database,
    made: ImportedConversation,
    add: Add = transfer.add_messages,
    size: Callable[[Message], int] = lambda row: len(row.content),
) -> None:
    """Store an import; a large one stays hidden until all of its pieces are stored.

    ``size`` estimates the bytes of a message. Raises StorageUnavailable.
    """
    pieces = list(_pieces(made.messages, size))
    if len(pieces) <= 1:
        await database.write(_store_whole, made, add)
    else:
        await _store_in_pieces(database, made.conversation, pieces, add)


async def _store_in_pieces(
    database: Database, found: Conversation, pieces: Sequence[Sequence[Message]], add: Add
) -> None:
    await database.write(removal.create_hidden, found)
    try:
        for piece in pieces:
            await database.write(_store_piece, found, piece, add)
        await database.write(removal.publish_import, found.id)
    except BaseException:
        with suppress(StorageUnavailable):  # its lease expires later
            await database.write(removal.abandon_import, found.id)
        raise


def _pieces(rows: Sequence[Message], size: Callable[[Message], int]) -> Iterator[list[Message]]:
    """Split messages into pieces for short transactions."""
    piece: list[Message] = []
    room = MAX_PIECE_BYTES
    for row in rows:
        room -= size(row)
        if piece and (room < 0 or len(piece) == MAX_PIECE_MESSAGES):
            yield piece
            piece, room = [], MAX_PIECE_BYTES - size(row)
        piece.append(row)
    if piece:
        yield piece


def _store_whole(session: Session, made: ImportedConversation, add: Add) -> None:
    session.add(made.conversation)
    session.flush()
    add(session, made.conversation, made.messages)


def _store_piece(session: Session, found: Conversation, rows: Sequence[Message], add: Add) -> None:
    removal.renew_import_lease(session, found.id)
    add(session, found, rows)
