"""The prompt templates that come as files: read once, when the server starts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.errors import InvalidRequest
from app.templates.errors import TemplateNotFound
from app.templates.rendering import CompiledTemplate, compiled
from app.v3.models.template import Template
from app.v3.services.lines import line_of, repeated_key


class BrokenTemplate(Exception):
    """A template file cannot be used; ``str()`` says which, where and why."""


class TemplateLibrary:
    """The built-in templates, by name."""

    def __init__(self, templates: Iterable[CompiledTemplate]) -> None:
        by_name = {each.template.name: each for each in templates}
        self._by_name = {name: by_name[name] for name in sorted(by_name)}

    def all(self) -> list[Template]:
        """Every template, sorted by name."""
        return [each.template for each in self._by_name.values()]

    def get(self, name: str) -> CompiledTemplate:
        """The template of this name, ready to render; raises TemplateNotFound."""
        if name not in self._by_name:
            raise TemplateNotFound(name)
        return self._by_name[name]


def load(folder: Path) -> TemplateLibrary:
    """Read every JSON file of the folder; raises BrokenTemplate for the first that is wrong."""
    if not folder.is_dir():
        raise BrokenTemplate(f"PROMPTS_DIR={folder}: there is no such folder.")
    return TemplateLibrary(read(path) for path in sorted(folder.glob("*.json")))


def read(path: Path) -> CompiledTemplate:
    """Read one file; raises BrokenTemplate."""
    text = _text(path)
    data = _data(path, text)
    try:
        template = Template.model_validate(data)
        if template.name != path.stem:
            told = f"{template.name!r} is not what the file is called: {path.stem!r}."
            raise InvalidRequest("/name", told)
        return compiled(template)
    except ValidationError as error:
        first = error.errors()[0]
        told = first["msg"].removeprefix("Value error, ")
        raise _broken(path, text, first["loc"], told) from error
    except InvalidRequest as error:
        found = error.errors[0]
        raise _broken(path, text, found.pointer.split("/")[1:], found.detail) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BrokenTemplate(f"{path}, line {line}: this is not UTF-8.") from error
    except OSError as error:
        raise BrokenTemplate(f"{path} cannot be read: {error.strerror}.") from error


def _data(path: Path, text: str) -> Any:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise BrokenTemplate(f"{path}, line {error.lineno}: {error.msg}.") from error
    except RecursionError as error:
        raise BrokenTemplate(f"{path}: it is nested too deeply.") from error
    if repeated := repeated_key(text):
        raise _broken(path, text, repeated, "this key stands here for the second time")
    return data


def _broken(path: Path, text: str, steps: Sequence[object], told: str) -> BrokenTemplate:
    where = f"{path}, line {line_of(text, steps)}: "
    field = ".".join(str(step) for step in steps)
    return BrokenTemplate(where + (f"{field}: " if field else "") + told.rstrip(".") + ".")
