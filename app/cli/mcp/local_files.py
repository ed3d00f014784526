"""Pictures that a call names by their paths on this machine.

A model cannot write a picture down in base64, but it knows where the file is. Only here the file
is surely the user's own to read: the server itself opens no path that a request names.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from app.cli.mcp.handshake import Message

PICTURES = {"describe_image": "image", "generate_hyperclovax_vision": "image_base64"}
"""Tool → its argument that is a picture."""
LONGEST_PATH = 4096


def with_pictures(message: Message) -> Message:
    """The message with the content of the file; raises OSError for one that cannot be read."""
    params: Any = message.get("params")
    if message["method"] != "tools/call" or not isinstance(params, dict):
        return message
    field = PICTURES.get(str(params.get("name")), "")
    arguments: Any = params.get("arguments")
    path = _path(arguments.get(field)) if isinstance(arguments, dict) else None
    if path is None:
        return message
    content = base64.b64encode(path.read_bytes()).decode()
    return {**message, "params": {**params, "arguments": {**arguments, field: content}}}


def _path(value: object) -> Path | None:
    """The file that a value names; base64 may begin with a slash too."""
    if not isinstance(value, str) or len(value) > LONGEST_PATH:
        return None
    if value.startswith("file://"):
        return Path(unquote(urlsplit(value).path))
    path = Path(value)
    return path if value.startswith("/") and path.suffix and path.is_file() else None
