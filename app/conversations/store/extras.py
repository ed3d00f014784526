"""Conditions of statements about what ``MessageExtra`` says of messages."""

from __future__ import annotations

from sqlalchemy import Text, and_, cast, exists, func

from app.storage.tables import Message, MessageExtra

EXTRA_OF_MESSAGE = and_(
    MessageExtra.conversation_id == Message.conversation_id, MessageExtra.message_id == Message.id
)
"""Joins ``MessageExtra`` to ``Message``."""

PARTS_LENGTH = func.coalesce(func.length(cast(MessageExtra.parts, Text)), 0)
"""How many characters the parts of a message take."""

IS_UNLISTED = exists().where(EXTRA_OF_MESSAGE, ~MessageExtra.listed)
"""Whether a row of ``Message`` is a tool call, a tool result or a developer message."""
