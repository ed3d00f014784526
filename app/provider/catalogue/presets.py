"""Presets: files in the models folder that name a model, and what requests to it are made with."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from app.provider.card import ModelCard
from app.provider.catalogue.names import find
from app.provider.headers.fields import unicode
from app.provider.headers.files import open_regular
from app.provider.preset import Preset

SUFFIX = ".preset.json"
"""Of the name of a file that declares a preset."""
LONGEST_FILE = 2**18
"""Bytes."""
LEAST_CONTEXT = 4
"""Tokens, a quarter of which is room for an answer."""
_FORMAT = "preset"
"""The format of a preset that cannot be used; any other has that of its model."""

_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Stop = Annotated[str, Meta(min_length=1, max_length=64)]
State = tuple[int, ...]


class SamplingValues(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of how answers are drawn, in the bounds of a request; None: not set."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1000)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=2)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    stop: Annotated[tuple[_Stop, ...], Meta(max_length=8)] | None = None

    def chosen(self) -> tuple[tuple[str, Any], ...]:
        """Names and values of the options that are set."""
        values = structs.asdict(self).items()
        return tuple((name, value) for name, value in values if value is not None)


class Declaration(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file; ``ttl_seconds`` -1: the model stays loaded."""

    model: Annotated[str, Meta(min_length=1, max_length=2_000)]
    system: str = ""
    template: Annotated[str, Meta(max_length=200)] = ""
    variables: dict[str, str | int | float | bool] = {}
    sampling: SamplingValues = SamplingValues()
    context_length: Annotated[int, Meta(ge=LEAST_CONTEXT, le=2**31 - 1)] | None = None
    ttl_seconds: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    description: Annotated[str, Meta(max_length=2_000)] = ""

    @property
    def contradiction(self) -> str | None:
        """What of it does not go together, if anything."""
        if self.system and self.template:
            return "It has a system text and a template: a preset has one or the other."
        if self.variables and not self.template:
            return "It has variables but no template: they belong to one."
        return None


def preset_cards(models_dir: Path, models: Sequence[ModelCard]) -> list[ModelCard]:
    """A card for each preset that lies directly in the models folder, sorted by id.

    It is the card of its model, one of ``models``, under another id. A damaged file is a card
    with a ``problem``. Files deeper down may come from strangers and are no presets.
    """
    found = _files(models_dir)
    ids = {_id(path) for path, _ in found}
    return [replace(_card(file, models, ids), found_in=models_dir) for file in found]


def _files(models_dir: Path) -> list[tuple[Path, State]]:
    """Paths with what changes when the files do."""
    try:
        with os.scandir(models_dir) as entries:
            names = sorted(e.name for e in entries if e.name.endswith(SUFFIX) and e.name[0] != ".")
    except OSError:
        return []
    return [(models_dir / name, _state(models_dir / name)) for name in names]


def _state(path: Path) -> State:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _id(path: Path) -> str:
    return unicode(path.name.removesuffix(SUFFIX))


def _card(file: tuple[Path, State], models: Sequence[ModelCard], presets: set[str]) -> ModelCard:
    path, state = file
    declared = _read(path, state)
    if isinstance(declared, str):
        return _broken(path, state, declared)
    model = _model(declared.model, models, presets)
    if isinstance(model, str):
        return _broken(path, state, model)
    if problem := declared.contradiction or _beyond(declared, model):
        return _broken(path, state, problem)
    return replace(
        model,
        id=_id(path),
        name=_id(path),
        aliases=(),
        context_length=declared.context_length or model.context_length,
        preset=_preset(path, model, declared),
        ttl_seconds=math.inf if declared.ttl_seconds == -1 else declared.ttl_seconds,
    )


def _beyond(declared: Declaration, model: ModelCard) -> str | None:
    """Why the model cannot have the context that was declared, if its own is known."""
    length = declared.context_length or 0
    if not 0 < model.context_length < length:
        return None
    return (
        f"Its context_length is {length} tokens, but its model {model.id!r} has "
        f"{model.context_length}."
    )


def _preset(path: Path, model: ModelCard, declared: Declaration) -> Preset:
    return Preset(
        model,
        path,
        system=declared.system,
        sampling=declared.sampling.chosen(),
        description=declared.description,
        template=declared.template,
        variables=tuple(sorted(declared.variables.items())),
        context_length=declared.context_length or 0,
    )


@lru_cache(maxsize=256)
def _read(path: Path, _state: State) -> Declaration | str:
    """The content of a file in this state, or what is wrong with it."""
    try:
        with open_regular(path) as file:
            content = file.read(LONGEST_FILE + 1)
    except OSError as error:
        return f"It cannot be read: {error.strerror or 'it is no regular file'}."
    if len(content) > LONGEST_FILE:
        return f"It is no preset: a preset has at most {LONGEST_FILE // 1024} KiB."
    try:
        return msgspec.json.decode(content, type=Declaration)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return f"It is no preset: {error}."


def _model(name: str, models: Sequence[ModelCard], presets: set[str]) -> ModelCard | str:
    """The model of that name, or why there is none for a preset."""
    found = find(models, name)
    if len(found) > 1:
        return f"Several models are called {name!r}."
    if not found and name in presets:
        return f"Its model {name!r} is a preset itself: name that one's model."
    if not found:
        return f"Its model {name!r} is not here."
    if found[0].tasks and "chat" not in found[0].tasks:
        return f"Its model {name!r} does not chat."
    return found[0]


def _broken(path: Path, state: State, problem: str) -> ModelCard:
    stamp = "-".join(map(str, state))
    return ModelCard(_id(path), _FORMAT, "", path, 0, 0, (), stamp=stamp, problem=problem)
