"""Lets the model find a title for a conversation."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from app.chat.completion import chat_model, collected
from app.conversations.defaults import Setup
from app.conversations.services import Desk
from app.conversations.store import conversations, tree
from app.provider.types import Message, Prompt, Sampling
from app.v4.models.conversations import LONGEST_TITLE
from app.v4.models.turns import Titled

TASK = (
    "Write a title of at most six words for this conversation, in its own language. "
    "Write the title only, without quotes."
)
MARKS = re.compile(r"^[^\w(]+|[^\w)?!]+$")

SHOWN = 2000
"""Characters of the first question and of its answer that the model is shown."""


async def titled(desk: Desk, owner: str, conversation_id: str) -> Titled:
    """Give the conversation the model's title; the old one stays where the model says nothing.

    Raises ConversationNotFound, and what asking a model raises.
    """
    model, title, said = await desk.database.read(_opening, owner, conversation_id)
    asked = (Message.of("system", TASK), Message.of("user", said))
    prompt = Prompt(asked, Sampling(temperature=0.0, max_tokens=32), owner)
    text, _ = await collected(desk.pool.stream(await chat_model(desk.pool, model), prompt))
    title = _clean(text) or title
    await desk.database.write(conversations.change, owner, conversation_id, title, None)
    return Titled(id=conversation_id, title=title)


def _opening(session: Session, owner: str, conversation_id: str) -> tuple[str | None, str, str]:
    """The conversation's model and title, and how it began."""
    found = conversations.owned(session, owner, conversation_id)
    began = tree.history(session, found.id, found.active_leaf_id)[:2]
    said = "\n\n".join(one.text[:SHOWN] for one in began)
    return Setup.model_validate(found.setup).model, found.title, said


def _clean(text: str) -> str:
    """The first line with something in it, without quotes and marks around it."""
    lines = (MARKS.sub("", line) for line in text.splitlines())
    first = next((line for line in lines if line), "")
    return first[:LONGEST_TITLE]
