"""Conversations as people look at them, with their pictures."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from app.conversations.store import images as store
from app.conversations.store.images import Use
from app.provider.types import SeenImage
from app.storage.database import Database
from app.v4.models.conversations import MessagesQuery
from app.v4.services import conversations as v4
from app.v5.models.conversations import ConversationMessages
from app.v5.services.images import seen_image, stored_image


async def opened(
    database: Database, owner: str, conversation_id: str, query: MessagesQuery
) -> ConversationMessages:
    """A conversation with a page of messages; raises ConversationNotFound, InvalidRequest."""
    found = (await v4.opened(database, owner, conversation_id, query)).model_dump()
    # Read after the messages: pictures of a message are there as soon as it is, and stay.
    uses, seen = await database.read(_pictures, conversation_id)
    images: dict[str, list[dict[str, Any]]] = {}
    for use in uses:
        images.setdefault(use.message_id, []).append(stored_image(use.image).model_dump())
    for message in found["messages"]:
        message["images"] = images.get(message["id"], [])
        if message["context"]:
            shown = seen.get(message["id"], ())
            message["context"]["images"] = [seen_image(image).model_dump() for image in shown]
    return ConversationMessages.model_validate(found)


def _pictures(
    session: Session, conversation_id: str
) -> tuple[list[Use], dict[str, tuple[SeenImage, ...]]]:
    return store.uses(session, conversation_id), store.seen(session, conversation_id)
