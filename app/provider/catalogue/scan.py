"""Scans the models folder. Models are recognised by content, never by what a request says.

A scan takes some milliseconds, because a file is read again only when its stamp has changed. A
hostile file spoils at most its own card, and one scan reads for at most ``READ_SECONDS``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.provider.card import ModelCard
from app.provider.catalogue.declared import declared_models
from app.provider.catalogue.engine_settings import NOTHING_CHOSEN, EngineSettings, with_engines
from app.provider.catalogue.names import (
    distinct,
    is_named_gguf,
    merged,
    model_id,
    with_aliases,
)
from app.provider.catalogue.pull_records import PullRecord, pull_records
from app.provider.catalogue.walk import FoundPath, Stamp, walk, walk_path
from app.provider.engine import ENGINES, Library, format_of, missing_library
from app.provider.headers.budget import TooExpensive, read_budget
from app.provider.headers.fields import unicode

log = logging.getLogger(__name__)

READ_SECONDS = 1.5
"""Processor time of one scan. In its last half no model is begun; the next scan does that."""
NOT_READ_YET = "It is being read: ask again in a second."
"""The problem of a model that the next scan will read."""
_NOTHING_READ = 0.05
"""Seconds in which only small files can have been read."""


@dataclass(slots=True)
class _FolderCache:
    """Cards of a models folder by path, and the notices of its last scan."""

    known: dict[str, tuple[Stamp, list[ModelCard]]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    pending: bool = False


def scan(
    models_dir: Path,
    extra: Sequence[Path] = (),
    untouched: Collection[Path] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> list[ModelCard]:
    """Every model below ``models_dir`` and at the paths ``extra``, sorted by id; ids may repeat.

    Files ``untouched`` (paths without links) are not opened. ``aliases`` maps further names to
    ids. Raises nothing.
    """
    closed = {str(path) for path in untouched}
    found_paths = [found_path for path in extra for found_path in walk_path(path, closed)]
    found = walk(models_dir, closed)
    found_paths += sorted(found.paths, key=_preference)
    cache = _cache_of(models_dir)
    found_cards = _read_all(found_paths, models_dir, cache)
    _notify(cache, found.notices)
    cards = _with_library_problems(distinct(merged(found_cards)))
    records = pull_records(models_dir)
    sources = {card.path: record for card in cards if (record := _source(card, records))}
    cards = [_with_source(card, sources.get(card.path)) for card in cards]
    named = with_aliases(cards, aliases, {path: found.repo for path, found in sources.items()})
    return sorted(named, key=lambda card: (card.id, str(card.path)))


def card_at(path: Path, engines: EngineSettings = NOTHING_CHOSEN) -> ModelCard | None:
    """Describe the model in a file or folder, in its engine; None when there is none."""
    cards = with_engines(scan(path.parent), engines)
    return next((card for card in cards if card.path.is_relative_to(path)), None)


def notices(models_dir: Path) -> list[str]:
    """What the last scan of a folder left out, as sentences."""
    return list(_cache_of(models_dir).notices)


def pending(models_dir: Path) -> bool:
    """Whether the last scan of a folder left models for the next one to read."""
    return _cache_of(models_dir).pending


def _notify(cache: _FolderCache, found: list[str]) -> None:
    """Remember notices, and log each of them once."""
    for notice in found:
        if notice not in cache.notices:
            log.warning("%s", notice)
    cache.notices = found


def _preference(found_path: FoundPath) -> tuple[bool, bool]:
    """Sort key of the names of one file: the id is no checksum of a cache and no link."""
    return not os.path.splitext(found_path.path)[1], found_path.linked


def _read_all(
    found_paths: Iterable[FoundPath], models_dir: Path, cache: _FolderCache
) -> list[tuple[str, ModelCard]]:
    """The models with their real paths; unchanged ones come from the cache."""
    seen: dict[str, tuple[Stamp, list[ModelCard]]] = {}
    found: list[tuple[str, list[ModelCard]]] = []
    started = time.thread_time()
    cache.pending = False
    for found_path in found_paths:
        before = cache.known.get(found_path.path)
        try:
            if before is None or before[0] != found_path.stamp:
                before = (
                    found_path.stamp,
                    _read(found_path, models_dir, time.thread_time() - started),
                )
        except TooExpensive:
            cache.pending = True
            found.append((found_path.real, _postponed(found_path, models_dir)))
            continue
        seen[found_path.path] = before
        found.append((found_path.real, before[1]))
    cache.known = seen
    return [(real, card) for real, cards in found for card in cards]


@lru_cache(maxsize=8)
def _cache_of(_models_dir: Path) -> _FolderCache:
    return _FolderCache()


def _read(found_path: FoundPath, models_dir: Path, spent: float) -> list[ModelCard]:
    """Describe a file or folder; raises TooExpensive where the next scan has to do that.

    Only a declaration of another server describes several models, or none of its own.
    """
    whole = spent < _NOTHING_READ
    if spent > READ_SECONDS / 2:
        raise TooExpensive("There is no time left.", final=False)
    with read_budget(READ_SECONDS if whole else READ_SECONDS - spent, whole=whole):
        path = Path(found_path.path)
        declared = declared_models(path, models_dir)
        card = None if declared else _described(path)
    stamp = hashlib.blake2b(repr(found_path.stamp).encode(), digest_size=12).hexdigest()
    cards = [card] if card else declared
    return [_unicode_safe(replace(one, stamp=stamp, found_in=models_dir)) for one in cards]


def _described(path: Path) -> ModelCard | None:
    """The card that an engine's format makes of a path, or one that says what went wrong."""
    for engine in ENGINES:
        try:
            if card := format_of(engine).read(path):
                return card
        except TooExpensive as error:
            if not error.final:
                raise
            return _failed(path, engine, str(error))
        except FileNotFoundError:
            return None  # gone since the walk
        except OSError as error:
            reason = f"It cannot be read: {error.strerror or 'the disk refuses'}."
            return _failed(path, engine, reason) if _looks_like_model(path) else None
        except Exception as error:  # foreign files can provoke any error
            log.debug("cannot be described", exc_info=True)
            return _failed(path, engine, _UNEXPECTED.format(type(error).__name__))
    return None


_UNEXPECTED = (
    "It cannot be described: its files hold something that the server did not expect ({}). "
    "Download it again; if that does not help, please report it."
)
_FORMATS = {"pytorch": "hf"}
"""Formats of engines in the API, where they are not named like the engine."""


def _failed(path: Path, engine: str, problem: str) -> ModelCard:
    """The card of a path that cannot be described; logged once for each state of its files.

    A folder that fails in MLX's format counts as one of Hugging Face.
    """
    log.warning("%s: %s", _unicode_name(path.name), problem)
    return _empty(path, "pytorch" if engine == "mlx" else engine, problem)


def _empty(path: Path, engine: str, problem: str) -> ModelCard:
    return ModelCard(
        id=model_id(path),
        format=_FORMATS.get(engine, engine),
        engine=engine,
        path=path,
        size_bytes=0,
        context_length=0,
        tasks=(),
        problem=problem,
    )


def _postponed(found_path: FoundPath, models_dir: Path) -> list[ModelCard]:
    """A card for a path that looks like a model and could not be read in this scan."""
    path = Path(found_path.path)
    if not _looks_like_model(path):
        return []
    engine = "pytorch" if path.is_dir() else "gguf"
    card = _empty(path, engine, NOT_READ_YET)
    return [_unicode_safe(replace(card, found_in=models_dir))]


def _looks_like_model(path: Path) -> bool:
    """Whether file names look like a model."""
    configs = ("config.json", "genai_config.json")
    return is_named_gguf(path) or any(os.path.isfile(path / name) for name in configs)


def _unicode_safe(card: ModelCard) -> ModelCard:
    """Replace text that is no valid Unicode, which no reply can hold and no library can open."""
    texts = {one.name: getattr(card, one.name) for one in fields(card)}
    broken: dict[str, Any] = {
        name: unicode(value)
        for name, value in texts.items()
        if isinstance(value, str) and unicode(value) != value
    }
    name = _unicode_name(card.id)
    if name != card.id:
        broken |= {"id": name, "problem": "Its name is not valid UTF-8: rename it."}
    aliases = tuple(_unicode_name(alias) for alias in card.aliases)
    return replace(card, **broken, aliases=aliases) if broken or aliases != card.aliases else card


def _unicode_name(name: str) -> str:
    return os.fsencode(name).decode("utf-8", errors="replace")


def _with_library_problems(cards: list[ModelCard]) -> list[ModelCard]:
    """Add a problem to models whose engine's library is missing."""
    missing = {engine: missing_library(engine) for engine in {card.engine for card in cards}}
    return [
        replace(card, problem=_needs(format_of(card.engine).LIBRARIES[library]))
        if (library := missing[card.engine]) and card.problem is None
        else card
        for card in cards
    ]


def _needs(library: Library) -> str:
    how = f": run {library.install}" if library.install else ""
    return f"It needs {library.name}, which is not installed{how}."


def _source(card: ModelCard, records: Mapping[Path, PullRecord]) -> PullRecord | None:
    """The pulled revision that a model is or lies in."""
    path = f"{card.path}/"
    return next(
        (record for root, record in records.items() if path.startswith(f"{root}/")),
        None,
    )


def _with_source(card: ModelCard, record: PullRecord | None) -> ModelCard:
    if record is None:
        return card
    alone = record.files[0] if len(record.files) == 1 else None
    return replace(
        card,
        version=record.revision,
        licence=card.licence or record.licence,
        sha256=alone[2] if alone and alone[:2] == ("", card.size_bytes) else "",
    )
