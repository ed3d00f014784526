"""Names of models: ids, aliases and the repositories they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from app.provider.card import ModelCard


def model_id(path: Path) -> str:
    """The id of the model in a file or folder: its name without ".gguf"."""
    is_gguf = path.suffix.lower() == ".gguf" and not path.is_dir()
    return path.stem if is_gguf else path.name


def is_named_gguf(path: Path) -> bool:
    """Whether a file is named like a model; "mmproj" files only accompany one."""
    name = path.name.lower()
    return name.endswith(".gguf") and "mmproj" not in name


def merged(found: Iterable[tuple[str, ModelCard]]) -> list[ModelCard]:
    """One card for each model, of cards with the real paths of their files.

    Further names of the same file become aliases.
    """
    models: dict[str, list[ModelCard]] = {}
    for real, card in found:
        same_file = models.setdefault(real, [])
        for at, first in enumerate(same_file):
            if _is_same(first, card):
                same_file[at] = _with(first, [card.id])
                break
        else:
            same_file.append(card)
    return [card for same_file in models.values() for card in same_file]


def _is_same(first: ModelCard, card: ModelCard) -> bool:
    """Whether two names of one file are one model, and not two with other files beside them.

    A name without an ending is the checksum in a download cache, where nothing lies beside it.
    """
    if card.remote or card.id == first.id:
        return card.id == first.id
    alike = (first.vision, first.problem) == (card.vision, card.problem)
    return alike or not card.path.suffix


def distinct(cards: Sequence[ModelCard]) -> list[ModelCard]:
    """Give a file "X.GGUF" its whole name as id where another model is called "X" as well.

    It had that id before the case of ".gguf" was ignored, so neither model gets lost.
    """
    ids = Counter(card.id for card in cards)
    return [
        replace(card, id=card.path.name, aliases=_without(card.aliases, card.path.name))
        if ids[card.id] > 1 and card.path.name in card.aliases and card.path.suffix != ".gguf"
        else card
        for card in cards
    ]


def _without(names: Sequence[str], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)


def find(cards: Sequence[ModelCard], wanted: str) -> list[ModelCard]:
    """The models with that id, else with that alias, else those whose names differ only in case.

    More than one is a conflict, which the caller reports.
    """
    return _called(cards, wanted) or _called_about(cards, wanted.casefold())


def with_aliases(
    cards: Sequence[ModelCard], aliases: Mapping[str, str], repositories: Mapping[Path, str]
) -> list[ModelCard]:
    """Add aliases to the cards.

    ``aliases`` maps a new name to an id or to a name that a card has already. ``repositories``
    maps the path of a model to its repository, which is an alias if only one model came from it.
    """
    models = Counter(repositories.values())
    only = {path: [repo] for path, repo in repositories.items() if models[repo] == 1}
    known = [_with(card, only.get(card.path, [])) for card in cards]
    further: dict[tuple[Path, str], list[str]] = {}
    for name, target in aliases.items():
        for card in _called(known, target):
            further.setdefault((card.path, card.id), []).append(name)
    return [_with(card, further.get((card.path, card.id), [])) for card in known]


def _with(card: ModelCard, names: list[str]) -> ModelCard:
    new = [name for name in names if name not in card.aliases and name != card.id]
    return replace(card, aliases=(*card.aliases, *new)) if new else card


def _called(cards: Sequence[ModelCard], name: str) -> list[ModelCard]:
    exact = [card for card in cards if card.id == name]
    return exact or [card for card in cards if name in card.aliases]


def _called_about(cards: Sequence[ModelCard], name: str) -> list[ModelCard]:
    return [
        card
        for card in cards
        if any(called.casefold() == name for called in (card.id, *card.aliases))
    ]
