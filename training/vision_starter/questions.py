"""Asks about a scene in one of many phrasings and gives the one right answer.

Needs nothing but the standard library and Pillow. Held-out phrasings are never trained.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from training.starter.corpus import entries, style
from training.starter.questions import capitals, decorate, drop_space, mistype
from training.vision_starter.drawing import COLOURS, SHAPES, Scene, Thing
from training.vision_starter.words import LANGUAGES, English, Korean, places

WEIGHTS = {
    "describe": 3.0,
    "count": 1.5,
    "count_of": 0.8,
    "colour": 1.2,
    "shape": 1.5,
    "where": 1.8,
    "is": 2.2,
    "limits": 1.6,
}
NAMED = 0.5  # weight of each kind of question that names a thing or a place
Language = English | Korean


@dataclass(frozen=True)
class Asked:
    """A question in a language, the kind of it, and the only right answer."""

    kind: str
    language: str
    question: str
    answer: str

    @property
    def parts(self) -> tuple[str, str]:
        """What the answer says before its verdict, and the rest; without a verdict all is rest."""
        if self.kind != "is":
            return "", self.answer
        seen, verdict = self.answer.rsplit(" ", 1)
        return seen, f" {verdict}"


@dataclass(frozen=True)
class Slots:
    """The colour and the shape that a question names."""

    colour: str
    shape: str

    def match(self, template: str, things: tuple[Thing, ...]) -> tuple[Thing, ...]:
        """Return the things that a template filled with this means."""
        both = "thing}" in template or "things}" in template
        return tuple(
            thing
            for thing in things
            if (
                not (both or "shape}" in template or "shapes}" in template)
                or thing.shape == self.shape
            )
            and (not (both or "{colour}" in template) or thing.colour == self.colour)
        )


@cache
def phrases() -> dict[str, dict[str, dict[str, list[str]]]]:
    text = Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def outside(language: str, held_out: bool) -> list[str]:
    """Return questions that no picture answers: ours and the text starter's."""
    key = "held" if held_out else "ask"
    theirs = [e for e in entries() if e.intent == "outside" and e.language == language]
    return phrases()[language]["limits"][key] * (1 if held_out else 3) + [
        question for entry in theirs for question in (entry.held_out if held_out else entry.asked)
    ]


def ask(
    scene: Scene,
    random: Random,
    *,
    held_out: bool = False,
    kind: str | None = None,
    language: str | None = None,
) -> Asked:
    """Ask about a scene; without a kind or a language, any that suits it."""
    language = language or random.choice(list(LANGUAGES))
    kind = kind or any_kind(scene, random)
    if kind == "limits":
        return ask_outside(random, language, held_out=held_out)
    template = random.choice(phrases()[language][kind]["held" if held_out else "ask"])
    words = LANGUAGES[language]
    question, answer = ANSWERS[kind](words, scene, template, random)
    if not held_out:
        question = rough(question, language, random, exact="{" in template)
    return Asked(kind, language, question, answer)


def ask_outside(random: Random, language: str, *, held_out: bool) -> Asked:
    """Ask what no picture answers."""
    question = random.choice(outside(language, held_out))
    if not held_out:
        question = rough(question, language, random, exact=len(question) < 12)
    return Asked("limits", language, question, LANGUAGES[language].limits)


def any_kind(scene: Scene, random: Random) -> str:
    weights = WEIGHTS | dict.fromkeys(kinds_of_one(scene), NAMED)
    return random.choices(list(weights), list(weights.values()))[0]


def kinds_of_one(scene: Scene) -> tuple[str, ...]:
    """Return the kinds of questions that name a thing or a place of this scene."""
    if not scene.things:
        return ()
    return ("colour_of", "shape_of", "where_of") + ("side",) * (len(places(scene)) < 3)


def _plain(choose: Callable[[Language, Scene], str]) -> Callable[..., tuple[str, str]]:
    """Return what answers a question without slots; an empty picture has the same answer to all."""

    def answered(words: Language, scene: Scene, template: str, random: Random) -> tuple[str, str]:
        return template, choose(words, scene) if scene.things else words.nothing

    return answered


def _count(words: Language, scene: Scene, template: str, random: Random) -> tuple[str, str]:
    return template, words.count(len(scene.things))


def _count_of(words: Language, scene: Scene, template: str, random: Random) -> tuple[str, str]:
    """Ask for the number of one sort, there or not; what there is to see answers either."""
    slots = name_some(scene, template, random, there=random.random() < 0.7)
    return fill(words, template, slots), words.seen(scene)


def _is(words: Language, scene: Scene, template: str, random: Random) -> tuple[str, str]:
    slots = name_some(scene, template, random, there=random.random() < 0.5)
    found = slots.match(template, scene.things)
    return fill(words, template, slots), words.verdict(scene, found=bool(found))


def _of_one(choose: Callable[[Language, Scene], str]) -> Callable[..., tuple[str, str]]:
    """Return what answers a question that names one thing; of a pair it tells about both."""

    def answered(words: Language, scene: Scene, template: str, random: Random) -> tuple[str, str]:
        thing = random.choice(scene.things)
        return fill(words, template, Slots(thing.colour, thing.shape)), choose(words, scene)

    return answered


def _side(words: Language, scene: Scene, template: str, random: Random) -> tuple[str, str]:
    place = random.choice(places(scene))
    return template.replace("{place}", words.place(*place)), words.describe(scene)


ANSWERS: dict[str, Callable[[Language, Scene, str, Random], tuple[str, str]]] = {
    "describe": _plain(lambda words, scene: words.describe(scene)),
    "colour": _plain(lambda words, scene: words.colour(scene.things)),
    "shape": _plain(lambda words, scene: words.shape(scene.things)),
    "where": _plain(lambda words, scene: words.where(scene)),
    "count": _count,
    "count_of": _count_of,
    "is": _is,
    "colour_of": _of_one(lambda words, scene: words.colour(scene.things)),
    "shape_of": _of_one(lambda words, scene: words.shape(scene.things)),
    "where_of": _of_one(lambda words, scene: words.where(scene)),
    "side": _side,
}


def fill(words: Language, template: str, slots: Slots) -> str:
    return template.format(**words.slots(slots.colour, slots.shape))


def name_some(scene: Scene, template: str, random: Random, *, there: bool) -> Slots:
    """Return a colour and a shape that the scene shows or not, often nearly right ones."""
    for _ in range(40):
        near = scene.things if random.random() < 0.75 else ()
        colours = [thing.colour for thing in near] or list(COLOURS)
        shapes = [thing.shape for thing in (near if random.random() < 0.8 else ())] or list(SHAPES)
        if near and random.random() < 0.3:
            colours = list(COLOURS)
        slots = Slots(random.choice(colours), random.choice(shapes))
        if bool(slots.match(template, scene.things)) == there:
            return slots
    return slots


def rough(question: str, language: str, random: Random, *, exact: bool) -> str:
    """Vary a training question as people would; an `exact` one keeps every letter of its words."""
    manner = style()[language]
    if random.random() < 0.4:
        question = decorate(question, manner["prefixes"], manner["suffixes"], random)
    if random.random() < 0.3:
        question = question.rstrip("?.! ") or question
    if language == "ko" and random.random() < 0.15:
        question = drop_space(question, random)
    if not exact and random.random() < 0.12:
        question = mistype(question, random)
    return capitals(question, random) if language == "en" else question
