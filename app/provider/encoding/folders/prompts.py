"""Reads the prompts of sentence-transformers: texts to put before an input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.provider.encoding.folders.known_encoders import KnownEncoder, Prompts
from app.provider.headers.fields import section, text, unicode
from app.provider.headers.files import optional_json

_FILE = "config_sentence_transformers.json"
_MOST = 64
_LONGEST = 2**12


def sentence_config(root: Path) -> dict[str, Any]:
    """The file of a folder; empty where there is none."""
    return optional_json(root / _FILE)


def folder_prompts(root: Path, known: KnownEncoder | None = None) -> tuple[Prompts, str]:
    """The prompts by name, and the name of the default one ("": none).

    Where the files state no prompt, they are those of the ``known`` family.
    """
    config = sentence_config(root)
    stated = section(config, "prompts").items()
    prompts = tuple(
        (unicode(name[:200]), unicode(value))
        for name, value in list(stated)[:_MOST]
        if isinstance(value, str) and len(value) <= _LONGEST
    )
    if not any(value for _, value in prompts) and known:
        return known.prompts, ""
    default = text(config, "default_prompt_name")
    return prompts, default if default in dict(prompts) else ""
