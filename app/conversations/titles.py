"""Lets the model find a title for a conversation."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from app.chat.answer import stream_answer
from app.chat.completion import collect, find_chat_model
from app.conversations.services import ConversationServices
from app.conversations.store import conversations, tree
from app.conversations.store.conversations import MAX_TITLE_LENGTH
from app.provider.types import Message, Prompt, Sampling

TASK = (
    "Write a title of at most six words for this conversation, in its own language. "
    "Write the title only, without quotes."
)
SURROUNDING_MARKS = re.compile(r"^[^\w(]+|[^\w)?!]+$")

MAX_SHOWN_CHARACTERS = 2000
"""Characters of the first question, and of its answer, that the model reads."""


async def find_title(services: ConversationServices, owner: str, conversation_id: str) -> str:
    """Give the conversation a title by the model; the old one stays if it writes nothing.

    Raises ConversationNotFound, and the errors of a chat request.
    """
    model, title, text = await services.database.read(first_messages, owner, conversation_id)
    card = (await find_chat_model(services.pool, model)).without_preset()
    messages = (Message.of("system", TASK), Message.of("user", text))
    prompt = Prompt(messages, Sampling(temperature=0.0, max_tokens=32), owner)
    completion = await collect(stream_answer(services.pool, card, prompt))
    title = _clean(completion.text) or title
    await services.database.write(conversations.change, owner, conversation_id, title, None)
    return title


def first_messages(
    session: Session, owner: str, conversation_id: str
) -> tuple[str | None, str, str]:
    """The conversation's model and title, and its first messages."""
    found = conversations.find_owned(session, owner, conversation_id)
    history = tree.history(session, found.id, found.active_leaf_id)
    first = [message for message in history if message.is_listed][:2]
    text = "\n\n".join(message.text[:MAX_SHOWN_CHARACTERS] for message in first)
    return found.setup.get("model"), found.title, text


def _clean(text: str) -> str:
    """The first line that is not empty, without quotes and marks around it."""
    lines = (SURROUNDING_MARKS.sub("", line) for line in text.splitlines())
    first = next((line for line in lines if line), "")
    return first[:MAX_TITLE_LENGTH]
