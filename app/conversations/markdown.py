"""A conversation as a Markdown document, in which no message can look like another one.

Each message is a quote with every line marked, so that its own headings stay inside. HTML could
close the quote, so a message that may contain HTML becomes a code block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.storage.tables import Conversation, Message
from app.storage.timestamps import isoformat

ROLE_NAMES = {"user": "User", "assistant": "Assistant"}

STATUS_NOTES = {
    "generating": "This answer is still being made.",
    "stopped": "This answer was stopped.",
    "failed": "This answer failed",
}
"""Notes below answers that are not complete."""

_HTML = re.compile(r"<[A-Za-z/!?]")
_FENCE = re.compile(r"`{3,}")
_MARKUP = re.compile(r"[\\`*_\[\]<>&~#|$]")


def document(found: Conversation, branch: Sequence[Message]) -> str:
    """Title and messages, oldest first."""
    parts = [
        f"# {_escape_line(found.title)}",
        *(part for row in branch for part in _message_blocks(row)),
    ]
    return "\n\n".join(parts) + "\n"


def _message_blocks(row: Message) -> Iterator[str]:
    model = f" ({_escape_line(row.model)})" if row.model else ""
    yield f"## {ROLE_NAMES[row.role]}{model}, {isoformat(row.created_at)}"
    if row.content:
        yield _quote(row.content)
    if note := STATUS_NOTES.get(row.status):
        yield f"*{note}: {_escape_line(row.error)}*" if row.error else f"*{note.rstrip('.')}.*"


def _quote(text: str) -> str:
    if _HTML.search(text):
        fence = max(["``", *_FENCE.findall(text)], key=len) + "`"
        return f"{fence}text\n{text}\n{fence}"
    # Not only at \n: renderers differ in which other characters end a line.
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _escape_line(text: str) -> str:
    """The text in one line, without Markdown meaning."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
