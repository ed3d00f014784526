"""The built-in prompt templates: JSON files that are read when the server starts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import InvalidRequest, pointer
from app.templates.errors import TemplateNotFound
from app.templates.template import Template

if TYPE_CHECKING:
    from app.templates.rendering import CompiledTemplate


class BrokenTemplate(Exception):
    """A template file cannot be used; ``str()`` names the file, the field and the mistake."""


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


Parse = Callable[[Any], Template]
"""Makes a template of a JSON value; raises InvalidRequest if its shape is wrong."""


def load(folder: Path, parse: Parse) -> TemplateLibrary:
    """Read every JSON file of the folder; raises BrokenTemplate for the first invalid one."""
    if not folder.is_dir():
        raise BrokenTemplate(f"PROMPTS_DIR={folder}: there is no such folder.")
    return TemplateLibrary(read(path, parse) for path in sorted(folder.glob("*.json")))


def read(path: Path, parse: Parse) -> CompiledTemplate:
    """Read one file; raises BrokenTemplate."""
    from app.templates.rendering import compile_template  # noqa: PLC0415 — Jinja, with templates

    data = _parse_json(path, _read_text(path))
    try:
        template = parse(data)
        if template.name != path.stem:
            detail = f"{template.name!r} is not what the file is called: {path.stem!r}."
            raise InvalidRequest("/name", detail)
        return compile_template(template)
    except InvalidRequest as error:
        found = error.errors[0]
        raise _broken_at(path, found.pointer, found.detail) from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BrokenTemplate(f"{path}, line {line}: this is not UTF-8.") from error
    except OSError as error:
        raise BrokenTemplate(f"{path} cannot be read: {error.strerror}.") from error


def _parse_json(path: Path, text: str) -> Any:
    try:
        data = json.loads(text, object_pairs_hook=_mark_repeated_keys)
        repeated = _find_repeated(data)
    except json.JSONDecodeError as error:
        raise BrokenTemplate(f"{path}, line {error.lineno}: {error.msg}.") from error
    except RecursionError as error:
        raise BrokenTemplate(f"{path}: it is nested too deeply.") from error
    if repeated:
        raise _broken_at(path, repeated, "this key stands twice in one object")
    return data


_REPEATED = object()
"""Replaces the value of a key that an object has more than once."""


def _mark_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        data[key] = _REPEATED if key in data else value
    return data


def _find_repeated(data: Any, where: str = "") -> str | None:
    """The pointer to the first key that an object has more than once, if there is one."""
    if data is _REPEATED:
        return where
    members: Iterable[tuple[object, Any]] = ()
    if isinstance(data, dict):
        members = data.items()
    elif isinstance(data, list):
        members = enumerate(data)
    inner = (_find_repeated(value, where + pointer(step)) for step, value in members)
    return next(filter(None, inner), None)


def _broken_at(path: Path, where: str, detail: str) -> BrokenTemplate:
    field = f"{where}: " if where else ""
    return BrokenTemplate(f"{path}: {field}{detail.rstrip('.')}.")
