"""Types of settings: how their text becomes a value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from app.provider.engine import ENGINES
from app.provider.formats.output_formats import OUTPUT_FORMATS, format_named


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list."""


def _alias_list(value: object) -> object:
    """A JSON object of names and models, or a comma-separated list of name=model."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError("is neither a list of alias=model nor a JSON object") from error
    if isinstance(value, dict):
        return tuple(f"{alias}={model}" for alias, model in value.items())
    return _split(value)


def pairs(given: Iterable[str]) -> dict[str, str]:
    """What stands before and after the last ``=`` of each."""
    return {pair.rpartition("=")[0]: pair.rpartition("=")[2] for pair in given}


def _aliases(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        alias, _, model = name.partition("=")
        if not (alias and model):
            raise ValueError(f"{name!r} is not alias=model")
    return names


def _tool_formats(given: tuple[str, ...]) -> tuple[str, ...]:
    for pair in given:
        model, _, name = pair.rpartition("=")
        if not model or format_named(name).name != name:
            known = ", ".join(one.name for one in OUTPUT_FORMATS)
            raise ValueError(f"{pair!r} is not model=format; the formats are {known}")
    return given


def _model_engines(given: tuple[str, ...]) -> tuple[str, ...]:
    for pair in given:
        model, _, engine = pair.rpartition("=")
        if not model or engine not in ENGINES:
            raise ValueError(f"{pair!r} is not model=engine; the engines are {', '.join(ENGINES)}")
    return given


def _program(value: str) -> str:
    """A command as a shell writes it, which is only divided into words here."""
    try:
        shlex.split(value)
    except ValueError as error:
        raise ValueError(f"is no command: {error}") from error
    return value


def _token(value: str) -> str:
    """Only what a header can carry: the error of a library that sends it would show the token."""
    text = value.strip()
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError("a token has letters, digits and punctuation only")
    return text


Aliases = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_alias_list), AfterValidator(_aliases)
]
"""Further names of models: ``alias=model``."""

ToolFormats = Annotated[Names, AfterValidator(_tool_formats)]
"""How models spell tool calls: ``model=format``."""

ModelEngines = Annotated[Names, AfterValidator(_model_engines)]
"""Which engines serve models: ``model=engine``."""

Command = Annotated[str, AfterValidator(_program)]
"""A program with arguments."""


def _upstreams(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not a JSON object of server names and declarations") from error
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise ValueError("is not a JSON object of server names and declarations")
    return found


Upstreams = Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_upstreams)]
"""Servers that run models for this one: names and declarations, as a JSON object."""

Ports = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65535)], ...], NoDecode, BeforeValidator(_split)
]
"""A comma-separated list of TCP ports."""

Token = Annotated[str, AfterValidator(_token)]
"""A secret that is sent in a header."""
