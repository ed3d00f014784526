"""Looks at the models folder. Models are recognised by content, never by what a request says.

A look costs some milliseconds: a file is read again only when its stamp has changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from app.provider.card import ModelCard
from app.provider.catalogue.names import with_aliases
from app.provider.catalogue.records import Pulled, pulled
from app.provider.catalogue.walk import Place, Stamp, look, walk
from app.provider.engine import ENGINES, format_of, missing_library

Known = dict[str, tuple[Stamp, ModelCard | None]]
"""What was read, by path and stamp."""

_INSTALL = {
    "llama_cpp": "llama-cpp-python, which is not installed: run ./run.sh install",
    "onnxruntime": "onnxruntime, which is not installed: run ./run.sh install",
    "mlx": "MLX, which is not installed: run ./run.sh install mlx",
    "mlx_lm": "mlx-lm, which is not installed: run ./run.sh install mlx",
    "torch": "PyTorch, which is not installed: run ./run.sh install pytorch",
    "transformers": "transformers, which is not installed: run ./run.sh install pytorch",
    "safetensors": "safetensors, which is not installed: run ./run.sh install pytorch",
}
"""Library → how to say that it is missing."""


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
    places += sorted(walk(models_dir, closed), key=_preference)
    cards = _loadable(_merged(_read_all(places, models_dir)))
    records = pulled(models_dir)
    sources = {card.path: record for card in cards if (record := _source(card, records))}
    cards = [_with_source(card, sources.get(card.path)) for card in cards]
    named = with_aliases(cards, aliases, {path: found.repo for path, found in sources.items()})
    return sorted(named, key=lambda card: (card.id, str(card.path)))


def _preference(place: Place) -> tuple[bool, bool]:
    """Which of two names for one file is its id: no checksum of a cache, no link."""
    return not os.path.splitext(place.path)[1], place.linked


def _read_all(places: Iterable[Place], models_dir: Path) -> list[tuple[str, ModelCard]]:
    """The models with their real paths; what is unchanged is remembered from the last time."""
    known, seen = _known(models_dir), {}
    for place in places:
        before = known.get(place.path)
        if before is None or before[0] != place.stamp:
            before = place.stamp, _read(place, models_dir)
        seen[place.path] = before
    known.clear()
    known.update(seen)
    return [(place.real, card) for place in places if (card := seen[place.path][1])]


@lru_cache(maxsize=8)
def _known(_models_dir: Path) -> Known:
    return {}


def _read(place: Place, models_dir: Path) -> ModelCard | None:
    path = Path(place.path)
    try:
        cards = (format_of(engine).read(path) for engine in ENGINES)
        card = next(filter(None, cards), None)
    except OSError:
        return None  # gone since the walk, or not ours to read
    stamp = hashlib.blake2b(repr(place.stamp).encode(), digest_size=12).hexdigest()
    return card and _sayable(replace(card, stamp=stamp, found_in=models_dir))


def _sayable(card: ModelCard) -> ModelCard:
    """No reply can hold a name that is not Unicode, and no library opens a file of that name."""
    name = os.fsencode(card.id).decode("utf-8", errors="replace")
    if name == card.id:
        return card
    return replace(card, id=name, problem="Its name is not valid UTF-8: rename it.")


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
        replace(card, problem=_needs(library))
        if (library := missing[card.engine]) and card.problem is None
        else card
        for card in cards
    ]


def _needs(library: str) -> str:
    return f"It needs {_INSTALL.get(library, f'{library}, which is not installed')}."


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
