"""The chat templates of a Hugging Face folder: in one of several places, one or several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.provider.errors import ModelNotLoadable
from app.provider.headers.fields import TEMPLATE_TOO_LONG
from app.provider.headers.files import open_regular, optional_json

_LONGEST = 2**18
"""Bytes of a template's file."""


def chat_templates(folder: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    """Jinja sources by name; empty where there are none. Raises ModelNotLoadable.

    ``settings`` are those of tokenizer_config.json. A template in a file of its own is the
    default one, and wins over those in settings.
    """
    own = folder / "chat_template.jinja"
    # Models that are shown pictures have a second one, which writes their places.
    processor = optional_json(folder / "chat_template.json").get("chat_template")
    stated = _named(processor) or _named(settings.get("chat_template"))
    found = {"default": _read(own)} if own.is_file() else stated
    others = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    return {path.stem: _read(path) for path in others if path.is_file()} | found


def _named(stated: object) -> dict[str, str]:
    """Templates as settings state them: one text, a list of named ones, or a dictionary."""
    if isinstance(stated, str):
        return {"default": stated}
    if isinstance(stated, list):
        entries = [entry for entry in stated if isinstance(entry, dict)]
        pairs = [(entry.get("name"), entry.get("template")) for entry in entries]
    else:
        pairs = list(stated.items()) if isinstance(stated, dict) else []
    return {
        name: source for name, source in pairs if isinstance(name, str) and isinstance(source, str)
    }


def _read(path: Path) -> str:
    with open_regular(path) as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ModelNotLoadable(TEMPLATE_TOO_LONG)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelNotLoadable(
            f"Its {path.name} is not UTF-8: save it in that encoding, or download it again."
        ) from error
