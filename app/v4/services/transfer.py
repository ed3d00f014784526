"""Exports conversations as files and imports them."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.conversations import markdown
from app.conversations.imports import ImportedConversation, store_import
from app.conversations.store import conversations, transfer
from app.errors import MAX_FIELD_ERRORS, FieldError, InvalidRequest
from app.storage.database import Database
from app.storage.ids import new_id, now
from app.storage.tables import Conversation, Message
from app.storage.timestamps import isoformat, milliseconds
from app.templates.rendering import compile_template
from app.v1.services.translate import finish_reason
from app.v3.models.template import Template as TemplateBody
from app.v3.services import templates as v3_templates
from app.v4.models.conversations import ConversationDetail
from app.v4.models.transfer import (
    FORMAT,
    Transfer,
    TransferredContext,
    TransferredConversation,
    TransferredMessage,
)
from app.v4.services.conversations import detail

Format = Literal["json", "markdown"]

CheckRole = Callable[[Any, str], Iterator[FieldError]]
"""Finds mistakes in a message at a JSON pointer."""

MAX_NAME_BYTES = 150
"""Bytes of a file name without its ending; most systems allow 255 in all."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file to download; its name is valid on every system."""

    name: str
    media_type: str
    text: str


# ---------------------------------------------------------------- export


async def export(database: Database, owner: str, conversation_id: str, form: Format) -> Download:
    """A conversation as a file; raises what ``read_conversation`` raises."""
    if form == "markdown":
        found, rows = await database.scan(conversations.branch, owner, conversation_id, None, None)
        text = await asyncio.to_thread(markdown.document, found, rows)
        return Download(f"{file_name(found.title)}.md", "text/markdown", text)
    found, rows = await database.scan(read_conversation, owner, conversation_id)
    text = await asyncio.to_thread(_json, found, rows)
    return Download(f"{file_name(found.title)}.json", "application/json", text)


def read_conversation(
    session: Session, owner: str, conversation_id: str
) -> tuple[Conversation, Sequence[Message]]:
    """A conversation whose messages a JSON file of v4 and v5 can hold.

    Raises ConversationNotFound, and InvalidRequest if some would be lost.
    """
    found, rows = transfer.read_conversation(session, owner, conversation_id)
    if transfer.has_extras(session, found.id):
        raise InvalidRequest(
            "/format",
            "This conversation holds thinking, tool calls, tool results or developer messages, "
            "which a JSON file of this version cannot hold; format=markdown gives what can be "
            "read of it here.",
        )
    return found, rows


def _json(found: Conversation, rows: Sequence[Message]) -> str:
    return to_json(Transfer.model_validate(file_fields(found, rows)))


def to_json(file: Transfer) -> str:
    """The file as text."""
    return file.model_dump_json(exclude_unset=True, indent=2) + "\n"


def file_fields(found: Conversation, rows: Sequence[Message]) -> dict[str, Any]:
    """A conversation as fields of the file."""
    return {
        "format": FORMAT,
        "version": 1,
        "exported_at": isoformat(now()),
        "conversation": {
            "title": found.title,
            "created_at": isoformat(found.created_at),
            "updated_at": isoformat(found.updated_at),
            "active_leaf_id": found.active_leaf_id,
            "setup": found.setup,
            "messages": [_message(row) for row in rows],
        },
    }


def _message(row: Message) -> dict[str, Any]:
    plain = ("id", "parent_id", "role", "status", "content", "prompt", "model")
    stored = (*plain, "usage", "context", "error")
    return {name: getattr(row, name) for name in stored} | {
        "finish_reason": finish_reason(row.finish_reason),
        "created_at": isoformat(row.created_at),
        "finished_at": None if row.finished_at is None else isoformat(row.finished_at),
    }


def file_name(title: str) -> str:
    """The title without characters that some system refuses or displays differently."""
    visible = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in title)
    name = " ".join(re.sub(r'[<>:"/\\|?*%]', " ", visible).split())
    cut = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return cut.strip(" .") or "conversation"


# ---------------------------------------------------------------- import


async def import_file(database: Database, owner: str, file: Transfer) -> ConversationDetail:
    """Store the file's conversation under new ids; raises InvalidRequest with every mistake."""
    made = await prepare_import(owner, file)
    await store_import(database, made)
    return detail(made.conversation)


async def prepare_import(
    owner: str, file: Transfer, check_role: CheckRole | None = None
) -> ImportedConversation:
    """Check the file and make its rows; raises InvalidRequest with every mistake.

    ``check_role`` finds mistakes in fields that only some roles have; those of a later version.
    """
    check = check_role or role_errors
    return await asyncio.to_thread(_prepare_import, owner, file.conversation, check)


def _prepare_import(
    owner: str, source: TransferredConversation, check_role: CheckRole
) -> ImportedConversation:
    if mistakes := list(islice(_field_errors(source, check_role), MAX_FIELD_ERRORS)):
        raise InvalidRequest.of(mistakes)
    if source.setup.template:
        _check_template(source.setup.template)
    names = {message.id: new_id() for message in source.messages}
    made = _conversation(owner, source, names)
    rows = [_row(made.id, message, names) for message in source.messages]
    return ImportedConversation(made, rows, names)


def _field_errors(source: TransferredConversation, check_role: CheckRole) -> Iterator[FieldError]:
    before: set[str] = set()
    every = {message.id for message in source.messages}
    for at, message in enumerate(source.messages):
        where = f"/conversation/messages/{at}"
        if message.id in before:
            yield FieldError(pointer=f"{where}/id", detail="another message has this id")
        if message.parent_id is not None and message.parent_id not in before:
            missing = "no message before this one has this id"
            yield FieldError(pointer=f"{where}/parent_id", detail=missing)
        yield from check_role(message, where)
        yield from _unknown_ids(message.context, every, where)
        before.add(message.id)
    if source.active_leaf_id not in every and (every or source.active_leaf_id):
        missing = "must be the id of a message; null only where there are none"
        yield FieldError(pointer="/conversation/active_leaf_id", detail=missing)


def role_errors(message: TransferredMessage, where: str) -> Iterator[FieldError]:
    """Mistakes in fields that only questions or only answers have."""
    if message.role == "assistant":
        if message.prompt is not None:
            yield FieldError(pointer=f"{where}/prompt", detail="only questions have a prompt")
        return
    if not message.content:
        yield FieldError(pointer=f"{where}/content", detail="a question must not be empty")
    if message.status != "complete":
        yield FieldError(pointer=f"{where}/status", detail="a question is complete")
    for name in ("model", "finish_reason", "usage", "context", "error"):
        if getattr(message, name) is not None:
            yield FieldError(pointer=f"{where}/{name}", detail=f"only answers have {name}")


def _unknown_ids(
    context: TransferredContext | None, every: set[str], where: str
) -> Iterator[FieldError]:
    if context is None:
        return
    for field, names in (("dropped", context.dropped), ("summarised", context.summarised)):
        for at, name in enumerate(names):
            if name not in every:
                pointer = f"{where}/context/{field}/{at}"
                yield FieldError(pointer=pointer, detail="no message has this id")


def _check_template(template: TemplateBody) -> None:
    """Raise InvalidRequest if the template is not valid."""
    where = "/conversation/setup/template"
    try:
        compile_template(v3_templates.template(template))
    except InvalidRequest as error:
        found = [(where + one.pointer, one.detail.rstrip(".")) for one in error.errors]
        moved = [FieldError(pointer=pointer, detail=detail) for pointer, detail in found]
        raise InvalidRequest.of(moved) from error


def _conversation(
    owner: str, source: TransferredConversation, names: dict[str, str]
) -> Conversation:
    return Conversation(
        id=new_id(),
        owner=owner,
        title=source.title,
        setup=source.setup.model_dump(mode="json", exclude_unset=True),
        active_leaf_id=names.get(source.active_leaf_id or ""),
        created_at=milliseconds(source.created_at),
        updated_at=milliseconds(source.updated_at),
    )


def _row(conversation_id: str, message: TransferredMessage, names: dict[str, str]) -> Message:
    return Message(
        id=names[message.id],
        conversation_id=conversation_id,
        parent_id=None if message.parent_id is None else names[message.parent_id],
        role=message.role,
        status="stopped" if message.status == "generating" else message.status,
        content=message.content,
        prompt=message.prompt,
        model=message.model,
        finish_reason=message.finish_reason,
        usage=message.usage.model_dump() if message.usage else None,
        context=_context(message.context, names) if message.context else None,
        error=message.error,
        created_at=milliseconds(message.created_at),
        finished_at=None if message.finished_at is None else milliseconds(message.finished_at),
        stopping=False,
    )


def _context(context: TransferredContext, names: dict[str, str]) -> dict[str, Any]:
    return context.model_dump() | {
        "dropped": [names[name] for name in context.dropped],
        "summarised": [names[name] for name in context.summarised],
    }
