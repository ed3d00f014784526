"""What is true of a drawing, in words: the texts that the encoder matches with pictures.

Needs nothing but the standard library and Pillow.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from training.starter.corpus import fill
from training.vision_starter.drawing import COLOURS, MOST, SHAPES, Scene, Thing
from training.vision_starter.words import KO_NUMBERS, LANGUAGES, NUMBERS

LOOKS = [(c, s) for c in COLOURS for s in SHAPES]
ALIKE = [(count, *look) for count in range(1, MOST + 1) for look in LOOKS]
"""Every number, colour and shape of objects that are alike."""
DIGITS = 0.15  # share of the captions that write a number as a digit
STRANGE, MOST_STRANGE = 0.6, 3  # share of the captions among words that mean nothing; on each side


ALPHABETS = {
    "en": ("aabcdeeefghiiklmnnooprsssttuvwy", 9),
    "ko": (
        "가각간고관구그기나는니다도들라로리마면모보부사상서시아에요어여오우은의이인자장전정조주지진하한해",
        4,
    ),
}
"""Letters of words that mean nothing, and how many such a word has at most."""


@dataclass(frozen=True)
class Wording:
    """Chooses how a thing is said: at random as in training, or as it is only measured."""

    language: str
    random: Random
    held_out: bool = False
    strange: bool = False
    """Whether some captions stand among words that mean nothing: all but what is in the picture
    is to be passed over, in whatever wording."""

    def alike(self, count: int, colour: str, shape: str) -> str:
        """Say that there are so many objects of one colour and shape."""
        slots = LANGUAGES[self.language].slots(colour, shape)
        if self.language == "ko":
            number = f" {self._number(count, KO_NUMBERS)} 개" if count > 1 else ""
            return self._framed(slots["thing"] + number)
        if count == 1:
            return self._framed(slots["a_thing"])
        return self._framed(f"{self._number(count, NUMBERS).lower()} {slots['things']}")

    def pair(self, first: tuple[str, str], second: tuple[str, str]) -> str:
        """Say that there are two unlike objects, in any order."""
        looks = [first, second]
        self.random.shuffle(looks)
        slots = [LANGUAGES[self.language].slots(*look) for look in looks]
        if self.language == "ko":
            return self._framed("과 ".join(slot["thing"] for slot in slots))
        return self._framed(" and ".join(slot["a_thing"] for slot in slots))

    def colour(self, colour: str) -> str:
        """Say that everything has a colour."""
        return self._one("colour").format(**LANGUAGES[self.language].slots(colour, SHAPES[0]))

    def shape(self, shape: str) -> str:
        """Say that everything has a shape."""
        slots = LANGUAGES[self.language].slots("red", shape)
        return self._one("shape").format(**slots)

    def number(self, count: int) -> str:
        """Say how many objects there are."""
        phrase: str = self.random.choice(wordings()[self.language]["number"][count])
        return phrase

    def _number(self, count: int, names: tuple[str, ...]) -> str:
        digit = not self.held_out and self.random.random() < DIGITS
        return str(count) if digit else names[count]

    def _framed(self, phrase: str) -> str:
        if self.strange and self.random.random() < STRANGE:
            return self._among_strange_words(phrase)
        return fill(self._one("held" if self.held_out else "ask"), phrase)

    def _among_strange_words(self, phrase: str) -> str:
        if self.language == "ko":
            phrase = fill(self.random.choice(("{}", "{}이/가", "{}은/는", "{}의", "{}만")), phrase)
        before, after = (
            [self._strange_word() for _ in range(self.random.randint(0, MOST_STRANGE))]
            for _ in range(2)
        )
        return " ".join([*before, phrase, *after])

    def _strange_word(self) -> str:
        alphabet, longest = ALPHABETS[self.language]
        letters = self.random.choices(alphabet, k=self.random.randint(1, longest))
        return "".join(letters) + self.random.choice(("", "", "", ":", ",", "."))

    def _one(self, kind: str) -> str:
        chosen: str = self.random.choice(wordings()[self.language][kind])
        return chosen


@cache
def wordings() -> dict[str, dict[str, Any]]:
    text = Path(__file__).with_name("captions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def look(thing: Thing) -> tuple[str, str]:
    return thing.colour, thing.shape


def alike(scene: Scene) -> int | None:
    """Return the place in ``ALIKE`` of a scene; None for unlike objects, or none at all."""
    if not scene.things or scene.pair:
        return None
    return ALIKE.index((len(scene.things), *look(scene.things[0])))
