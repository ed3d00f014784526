"""Stored conversations as v5 shows them, with their images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.conversations.store import images as store
from app.conversations.store.images import Attachment
from app.provider.types import SeenImage
from app.storage.database import Database
from app.storage.tables import Message
from app.v4.models.conversations import MessagesQuery
from app.v4.services import conversations as v4
from app.v5.models.conversations import ConversationMessages
from app.v5.services.images import stored_image


async def open_conversation(
    database: Database, owner: str, conversation_id: str, query: MessagesQuery
) -> ConversationMessages:
    """A conversation with a page of messages; raises ConversationNotFound, InvalidRequest."""
    page = await v4.LISTED.page(database, owner, conversation_id, query)
    # Read after the messages: a message is stored together with its images.
    images, seen = await database.read(read_images, conversation_id)
    messages = [message_fields(row, images[row.id], seen.get(row.id, ())) for row in page.messages]
    return ConversationMessages.model_validate(
        v4.detail_fields(page.conversation)
        | {"messages": messages, "next_cursor": page.next_cursor}
    )


def message_fields(
    row: Message, images: Sequence[Attachment], seen: Sequence[SeenImage]
) -> dict[str, Any]:
    """A stored message with its images as fields of the wire model."""
    fields = v4.message_fields(row)
    fields["images"] = [stored_image(image) for image in images]
    if row.context:
        fields["context"] = row.context | {"images": [image.as_dict() for image in seen]}
    return fields


def read_images(
    session: Session, conversation_id: str
) -> tuple[dict[str, list[Attachment]], dict[str, tuple[SeenImage, ...]]]:
    """Images of questions, and images that models saw for answers, by message id."""
    images: dict[str, list[Attachment]] = defaultdict(list)
    for use in store.list_uses(session, conversation_id):
        images[use.message_id].append(use.image)
    return images, store.read_seen_images(session, conversation_id)
