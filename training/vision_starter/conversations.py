"""Puts pictures, questions and answers together into conversations: trained ones and held-out ones.

Needs nothing but the standard library and Pillow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from training.starter.corpus import style
from training.vision_starter.drawing import Scene, scene
from training.vision_starter.questions import Asked, ask, ask_outside, kinds_of_one
from training.vision_starter.words import LANGUAGES

Size = tuple[int, int]
PLAIN = ("describe", "count", "colour", "shape", "where", "is")
KINDS = (*PLAIN, "named", "nothing drawn", "limits", "no picture", "later turn", "last of two")
MISSING = ("describe", "count", "colour", "shape", "where", "is")


@dataclass(frozen=True)
class Turn:
    """A question, with the pictures that come with it, before or after the words."""

    scenes: tuple[Scene, ...]
    asked: Asked
    pictures_first: bool = True


@dataclass(frozen=True)
class Conversation:
    """Turns, under a system message or none."""

    system: str | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Case(Conversation):
    """A conversation whose last question is measured: it is of this kind and never trained."""

    kind: str

    @property
    def answer(self) -> str:
        """The one right answer to the last question."""
        return self.turns[-1].asked.answer

    @property
    def language(self) -> str:
        """The language of the last question."""
        return self.turns[-1].asked.language


def conversation(random: Random, size: Size | None = None) -> Conversation:
    """Make up a conversation to train on; its pictures mostly have the given size in pixels."""
    language = random.choice(list(LANGUAGES))
    turns: list[Turn] = []
    shown: list[Scene] = []
    for _ in range(random.choices((1, 2, 3, 4), (15, 30, 35, 20))[0]):
        if random.random() < 0.2:
            language = random.choice(list(LANGUAGES))
        new = _new_scenes(random, size, len(shown))
        shown += new
        asked = _ask(shown, random, language)
        turns.append(Turn(tuple(new), asked, random.random() < 0.75))
    return Conversation(_system(random), tuple(turns))


def _new_scenes(random: Random, size: Size | None, shown: int) -> list[Scene]:
    wanted = random.choices((0, 1, 2), (8, 86, 6))[0] if not shown else 0
    if shown == 1 and random.random() < 0.1:
        wanted = 1
    return [
        scene(random, size if random.random() < (1 if shown == i == 0 else 0.85) else None)
        for i in range(wanted)
    ]


def _ask(shown: list[Scene], random: Random, language: str) -> Asked:
    if not shown:
        return _ask_blindly(random, language)
    return ask(shown[-1], random, language=language)


def _ask_blindly(random: Random, language: str, *, held_out: bool = False) -> Asked:
    """Ask about a picture that nobody has sent, or what no picture answers."""
    if random.random() < 0.4 and not held_out:
        return ask_outside(random, language, held_out=held_out)
    kind = random.choice(MISSING)
    asked = ask(scene(random), random, held_out=held_out, kind=kind, language=language)
    return Asked("missing", language, asked.question, LANGUAGES[language].missing)


def _system(random: Random) -> str | None:
    if random.random() > 0.15:
        return None
    systems: list[str] = style()["systems"][random.choice(list(LANGUAGES))]
    return random.choice(systems)


def held_out_cases(count: int, seed: int) -> list[Case]:
    """Return cases to measure a model with: every kind in every language equally often."""
    random = Random(f"held out {seed}")
    wanted = _kinds_and_languages()
    return [_case(*next(wanted), random) for _ in range(count)]


def _kinds_and_languages() -> Iterator[tuple[str, str]]:
    while True:
        for kind in KINDS:
            for language in LANGUAGES:
                yield kind, language


def _case(kind: str, language: str, random: Random) -> Case:
    turns = [Turn((), _ask_blindly(random, language, held_out=True))]
    if kind == "limits":
        shown = (scene(random),) if random.random() < 0.7 else ()
        turns = [Turn(shown, ask_outside(random, language, held_out=True))]
    elif kind == "last of two":
        turns = _two_pictures(random, language)
    elif kind == "later turn":
        turns = _later(random, language)
    elif kind != "no picture":
        turns = [_one_turn(kind, language, random)]
    return Case(_system(random), tuple(turns), kind)


def _one_turn(kind: str, language: str, random: Random) -> Turn:
    while True:
        shown = scene(random)
        if bool(shown.things) == (kind == "nothing drawn"):
            continue
        wanted = kind if kind in PLAIN else random.choice(PLAIN)
        if kind == "named":
            wanted = random.choice(("count_of", *kinds_of_one(shown)))
        asked = ask(shown, random, held_out=True, kind=wanted, language=language)
        return Turn((shown,), asked, random.random() < 0.75)


def _later(random: Random, language: str) -> list[Turn]:
    """Ask one to three more times about the picture of the first turn."""
    shown = scene(random)
    kinds = [random.choice(PLAIN) for _ in range(random.randint(2, 4))]
    turns = [ask(shown, random, held_out=True, kind=kind, language=language) for kind in kinds]
    return [Turn((shown,) * (i == 0), asked) for i, asked in enumerate(turns)]


def _two_pictures(random: Random, language: str) -> list[Turn]:
    """Ask about the last of two pictures, sent with one message or with two."""
    shown, kinds = [scene(random), scene(random)], [random.choice(PLAIN) for _ in range(2)]
    before, asked = (
        ask(one, random, held_out=True, kind=kind, language=language)
        for one, kind in zip(shown, kinds, strict=True)
    )
    if random.random() < 0.5:
        return [Turn(tuple(shown), asked)]
    return [Turn((shown[0],), before), Turn((shown[1],), asked)]
