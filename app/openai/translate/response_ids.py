"""Ids of responses, conversations and items, made of the ids of rows and parsed into them again.

A response is an answer, so its id holds those of the conversation and of the answer. An item is a
piece of a message, and its id holds those of the conversation and of the message.
"""

from __future__ import annotations

import re
import uuid

from app.conversations.store.answers import AnswerKey

_ONE = "([0-9a-f]{32})"
_RESPONSE = re.compile(f"resp_{_ONE}{_ONE}")
_CONVERSATION = re.compile(f"conv_{_ONE}")
_ITEM = re.compile(f"(?:msg|rs|fc|fco)_{_ONE}{_ONE}(?:[0-9]{{1,4}})?")

CALL, RESULT, MESSAGE, REASONING = "fc", "fco", "msg", "rs"
"""What the ids of items begin with."""


def response_id(conversation_id: str, answer_id: str) -> str:
    """The id of the response that an answer is."""
    return f"resp_{_short(conversation_id)}{_short(answer_id)}"


def conversation_name(conversation_id: str) -> str:
    """The id of a conversation as clients of this dialect know it."""
    return f"conv_{_short(conversation_id)}"


def item_id(kind: str, key: AnswerKey, place: int | None = None) -> str:
    """The id of an item: of a message, or of what has that place among its calls or results."""
    return f"{kind}_{_short(key[0])}{_short(key[1])}{'' if place is None else place}"


def answer_key(response: str) -> AnswerKey | None:
    """The answer that a response is; None for what is no id of a response."""
    found = _RESPONSE.fullmatch(response)
    return AnswerKey(_long(found[1]), _long(found[2])) if found else None


def conversation_of(name: str) -> str | None:
    """The conversation of that id; None for what is no id of one."""
    found = _CONVERSATION.fullmatch(name)
    return _long(found[1]) if found else None


def key_of_item(item: str) -> AnswerKey | None:
    """The message that an item is a piece of; None for what is no id of an item."""
    found = _ITEM.fullmatch(item)
    return AnswerKey(_long(found[1]), _long(found[2])) if found else None


def made_at(row_id: str) -> int:
    """When a row's id was made, in seconds since 1970."""
    return int(_short(row_id)[:12], 16) // 1000


def _short(row_id: str) -> str:
    return row_id.replace("-", "")


def _long(digits: str) -> str:
    return str(uuid.UUID(digits))
