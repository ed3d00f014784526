"""What all formats that are folders have in common: tokenizer, template, README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from app.provider.catalogue.facts import template
from app.provider.catalogue.files import open_regular, optional_json

_LONGEST_README = 2**16
_LONGEST_TEMPLATE_FILE = 2**18
_OTHER_TOKENIZERS = ("tokenizer.model", "vocab.json", "vocab.txt", "tiktoken.model")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)


def incomplete(reason: str) -> str:
    """The problem of a folder that is half copied."""
    return f"The folder is incomplete: {reason}."


def tokenizer_problem(folder: Path, files: Mapping[str, int]) -> str | None:
    """What is wrong with a folder's tokenizer, which may be copied after the weights.

    A tokenizer is a long file, so only its end is looked at. Raises OSError.
    """
    if "tokenizer.json" not in files:
        there = any(name in files for name in _OTHER_TOKENIZERS)
        return None if there else incomplete("its tokenizer is missing")
    with open_regular(folder / "tokenizer.json") as file:
        file.seek(max(0, files["tokenizer.json"] - 64))
        ending = file.read(64).rstrip()
    return None if ending.endswith(b"}") else incomplete("tokenizer.json is cut off")


def chat_template(folder: Path) -> str:
    """The template of a folder's tokenizer; empty if it has none."""
    try:
        return template(_text(folder / "chat_template.jinja", _LONGEST_TEMPLATE_FILE))
    except OSError:
        # Models that are shown pictures have a second one, which writes their places.
        settings = ("chat_template.json", "tokenizer_config.json")
        found = (optional_json(folder / name).get("chat_template") for name in settings)
        stated = next(filter(None, found), None)
    if isinstance(stated, list):
        named = [entry for entry in stated if isinstance(entry, dict)]
        stated = next((e.get("template") for e in named if e.get("name") == "default"), None)
    return template(stated)


def licence(folder: Path) -> str:
    """The licence that the front matter of README.md states; empty if it states none."""
    try:
        readme = _text(folder / "README.md", _LONGEST_README).replace("\r\n", "\n")
    except OSError:
        return ""
    front = _FRONT_MATTER.match(readme)
    if front is None:
        return ""
    stated = _stated(front[1], "license")
    return stated if stated != "other" else _stated(front[1], "license_name") or stated


def _stated(front: str, key: str) -> str:
    """A value of the front matter; the first of a list."""
    found = re.search(rf"^{key}:[ \t]*(?:\n[ \t]*-[ \t]*)?([^\n#]*)", front, re.MULTILINE)
    return found[1].strip("[]'\" \t").split(",")[0][:100] if found else ""


def _text(path: Path, longest: int) -> str:
    with open_regular(path) as file:
        return file.read(longest).decode("utf-8", errors="replace")
