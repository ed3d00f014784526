"""Looks at the models folder. Models are recognised by content, never by what a request says.

A look costs some milliseconds: a file is read again only when its stamp has changed. What anybody
may have written costs at most its own card, and what a scan reads at most ``READ_SECONDS``.
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
from app.provider.catalogue.names import distinct, is_named_gguf, model_id, with_aliases
from app.provider.catalogue.pull_records import Pulled, pulled
from app.provider.catalogue.walk import Place, Stamp, look, walk
from app.provider.engine import ENGINES, Library, format_of, missing_library
from app.provider.headers.budget import TooExpensive, read_budget
from app.provider.headers.fields import unicode

log = logging.getLogger(__name__)

READ_SECONDS = 1.5
"""Of processor time in one scan. In the last half of it no model is begun: the next scan does."""
NOT_READ_YET = "It is being read: ask again in a second."
"""The problem of a model that is left to the next scan."""
_NOTHING_READ = 0.05
"""Seconds in which only small files can have been read."""


@dataclass(slots=True)
class _State:
    """What is remembered of a models folder: what was read, by path, and what was said of it."""

    known: dict[str, tuple[Stamp, ModelCard | None]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    pending: bool = False


def scan(
    models_dir: Path,
    extra: Sequence[Path] = (),
    untouched: Collection[Path] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> list[ModelCard]:
    """Every model under ``models_dir`` and every path of ``extra``, by id; ids may repeat.

    Files ``untouched`` (paths without links) are not opened. ``aliases`` are further names by
    what they stand for. Raises nothing.
    """
    closed = {str(path) for path in untouched}
    places = [place for path in extra for place in look(path, closed)]
    found = walk(models_dir, closed)
    places += sorted(found.places, key=_preference)
    state = _state(models_dir)
    merged = _merged(_read_all(places, models_dir, state))
    _notify(state, found.notices)
    cards = _loadable(distinct(merged))
    records = pulled(models_dir)
    sources = {card.path: record for card in cards if (record := _source(card, records))}
    cards = [_with_source(card, sources.get(card.path)) for card in cards]
    named = with_aliases(cards, aliases, {path: found.repo for path, found in sources.items()})
    return sorted(named, key=lambda card: (card.id, str(card.path)))


def notices(models_dir: Path) -> list[str]:
    """What the last scan of a folder left out, as sentences."""
    return list(_state(models_dir).notices)


def pending(models_dir: Path) -> bool:
    """Whether the last scan of a folder left models for the next one to read."""
    return _state(models_dir).pending


def _notify(state: _State, found: list[str]) -> None:
    """Remember notices, and log each of them once."""
    for notice in found:
        if notice not in state.notices:
            log.warning("%s", notice)
    state.notices = found


def _preference(place: Place) -> tuple[bool, bool]:
    """Which of two names for one file is its id: no checksum of a cache, no link."""
    return not os.path.splitext(place.path)[1], place.linked


def _read_all(
    places: Iterable[Place], models_dir: Path, state: _State
) -> list[tuple[str, ModelCard]]:
    """The models with their real paths; what is unchanged is remembered from the last time."""
    seen: dict[str, tuple[Stamp, ModelCard | None]] = {}
    found: list[tuple[str, ModelCard | None]] = []
    started = time.thread_time()
    state.pending = False
    for place in places:
        before = state.known.get(place.path)
        try:
            if before is None or before[0] != place.stamp:
                before = place.stamp, _read(place, models_dir, time.thread_time() - started)
        except TooExpensive:
            state.pending = True
            found.append((place.real, _postponed(place, models_dir)))
            continue
        seen[place.path] = before
        found.append((place.real, before[1]))
    state.known = seen
    return [(real, card) for real, card in found if card]


@lru_cache(maxsize=8)
def _state(_models_dir: Path) -> _State:
    return _State()


def _read(place: Place, models_dir: Path, spent: float) -> ModelCard | None:
    """Describe a file or folder; raises TooExpensive where that is left to the next scan."""
    whole = spent < _NOTHING_READ
    if spent > READ_SECONDS / 2:
        raise TooExpensive("There is no time left.", final=False)
    with read_budget(READ_SECONDS if whole else READ_SECONDS - spent, whole=whole):
        card = _described(Path(place.path))
    stamp = hashlib.blake2b(repr(place.stamp).encode(), digest_size=12).hexdigest()
    return card and _sayable(replace(card, stamp=stamp, found_in=models_dir))


def _described(path: Path) -> ModelCard | None:
    """The card that an engine's package makes of a path, or one that says what went wrong."""
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
            return _failed(path, engine, reason) if _promises_model(path) else None
        except Exception as error:  # whatever anybody may have written
            log.debug("cannot be described", exc_info=True)
            return _failed(path, engine, _UNEXPECTED.format(type(error).__name__))
    return None


_UNEXPECTED = (
    "It cannot be described: its files hold something that the server did not expect ({}). "
    "Download it again; if that does not help, please report it."
)
_FORMATS = {"pytorch": "hf"}
"""How clients call the format of an engine, where that is not the engine's name."""


def _failed(path: Path, engine: str, problem: str) -> ModelCard:
    """The card of what cannot be described; that is logged once for each state of its files.

    A folder that MLX asks about first is one of Hugging Face until more is known.
    """
    log.warning("%s: %s", _sayable_name(path.name), problem)
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


def _postponed(place: Place, models_dir: Path) -> ModelCard | None:
    """A card for what looks like a model and could not be read in this scan."""
    path = Path(place.path)
    if not _promises_model(path):
        return None
    engine = "pytorch" if path.is_dir() else "gguf"
    card = _empty(path, engine, NOT_READ_YET)
    return _sayable(replace(card, found_in=models_dir))


def _promises_model(path: Path) -> bool:
    """Whether it looks like a model from outside."""
    configs = ("config.json", "genai_config.json")
    return is_named_gguf(path) or any(os.path.isfile(path / name) for name in configs)


def _sayable(card: ModelCard) -> ModelCard:
    """No reply can hold a text that is not Unicode, and no library opens a file of such a name."""
    texts = {one.name: getattr(card, one.name) for one in fields(card)}
    broken: dict[str, Any] = {
        name: unicode(value)
        for name, value in texts.items()
        if isinstance(value, str) and unicode(value) != value
    }
    name = _sayable_name(card.id)
    if name != card.id:
        broken |= {"id": name, "problem": "Its name is not valid UTF-8: rename it."}
    aliases = tuple(_sayable_name(alias) for alias in card.aliases)
    return replace(card, **broken, aliases=aliases) if broken or aliases != card.aliases else card


def _sayable_name(name: str) -> str:
    return os.fsencode(name).decode("utf-8", errors="replace")


def _merged(found: Iterable[tuple[str, ModelCard]]) -> list[ModelCard]:
    """One card for each model; the names of links to it are aliases."""
    cards: dict[str, ModelCard] = {}
    for real, card in found:
        first = cards.setdefault(real, card)
        if card.id not in {first.id, *first.aliases}:
            cards[real] = replace(first, aliases=(*first.aliases, card.id))
    return list(cards.values())


def _loadable(cards: list[ModelCard]) -> list[ModelCard]:
    """Note which models lack their engine's library."""
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


def _source(card: ModelCard, records: Mapping[Path, Pulled]) -> Pulled | None:
    """The revision that a model is, or lies in."""
    path = f"{card.path}/"
    return next((record for place, record in records.items() if path.startswith(f"{place}/")), None)


def _with_source(card: ModelCard, record: Pulled | None) -> ModelCard:
    if record is None:
        return card
    alone = record.files[0] if len(record.files) == 1 else None
    return replace(
        card,
        version=record.revision,
        licence=card.licence or record.licence,
        sha256=alone[2] if alone and alone[:2] == ("", card.size_bytes) else "",
    )
