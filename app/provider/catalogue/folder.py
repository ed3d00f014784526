"""Reads what all model folders have in common: tokenizer, chat template, README."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from app.provider.errors import ModelNotLoadable
from app.provider.generation.folder_templates import chat_templates
from app.provider.headers.content import BEGINNING, identify
from app.provider.headers.fields import TEMPLATE_TOO_LONG, is_too_long, template
from app.provider.headers.files import fault, open_regular, optional_json, read_json, why_missing

_LONGEST_README = 2**16
_SETTINGS = ("chat_template.json", "tokenizer_config.json")
_OTHER_TOKENIZERS = ("tokenizer.model", "vocab.json", "vocab.txt", "tiktoken.model")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)", re.DOTALL)


def incomplete(reason: str) -> str:
    """The problem of an incomplete folder; a reason with a colon already says what to do."""
    remedy = "" if ":" in reason else " Download or copy it again."
    return f"The folder is incomplete: {reason}.{remedy}"


def tokenizer_problem(folder: Path, files: Mapping[str, int]) -> str | None:
    """What is wrong with a folder's tokenizer and template. Raises OSError and TooExpensive.

    tokenizer.json is long, so only its beginning and end are checked here.
    """
    if "tokenizer.json" not in files:
        return _no_tokenizer(folder, files)
    return (
        _tokenizer_fault(folder / "tokenizer.json")
        or _settings_fault(folder, files)
        or _template_fault(folder)
    )


def _no_tokenizer(folder: Path, files: Mapping[str, int]) -> str:
    if (folder / "tokenizer.json").is_symlink():
        return incomplete(f"tokenizer.json {why_missing(folder / 'tokenizer.json')}")
    other = next((name for name in _OTHER_TOKENIZERS if name in files), None)
    if other is None:
        return incomplete("its tokenizer is missing")
    return (
        f"It has {other} but no tokenizer.json, which the engines here read: take tokenizer.json "
        "from the model's page, or save the tokenizer with transformers."
    )


def _tokenizer_fault(path: Path) -> str | None:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(BEGINNING)
        file.seek(max(0, size - 64))
        ending = file.read(64).rstrip()
    if other := identify(start, size, json=True):
        return incomplete(f"{path.name} {other}")
    if not start.lstrip().startswith(b"{"):
        return incomplete(f"{path.name} is damaged")
    return None if ending.endswith(b"}") else incomplete(f"{path.name} is cut off")


def _settings_fault(folder: Path, files: Mapping[str, int]) -> str | None:
    """What is wrong with the tokenizer's settings; without them prompts would silently differ."""
    for name in _SETTINGS:
        try:
            if name in files:
                read_json(folder / name)
        except ValueError:
            return incomplete(f"{name} {fault(folder / name)}")
    return None


def _template_fault(folder: Path) -> str | None:
    """What is wrong with the template's files, as an engine would report it."""
    try:
        source = _template(folder)
    except ModelNotLoadable as error:
        return str(error)
    return TEMPLATE_TOO_LONG if is_too_long(source) else None


def chat_template(folder: Path) -> str:
    """The template of a folder's tokenizer; empty if it has none that can be read."""
    try:
        return template(_template(folder))
    except ModelNotLoadable:
        return ""


def _template(folder: Path) -> str:
    """The default one, else the first; raises ModelNotLoadable."""
    named = chat_templates(folder, optional_json(folder / "tokenizer_config.json"))
    return named.get("default") or next(iter(named.values()), "")


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
