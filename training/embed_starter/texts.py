"""The texts that the encoder learns from, and the questions it is measured with.

Both come from the corpus of the starter. No text made here contains a held-out question.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from training.starter import questions
from training.starter.corpus import Entry, HeldOut, entries, held_out_keys, normalise
from training.starter.corpus import fresh as fresh_questions
from training.starter.corpus import held_out as held_out_questions

ROOT = Path(__file__).parents[2]
NO_TOPIC = ("outside", "unclear")  # intents whose questions have nothing in common
SHORTEST_KEY = 6  # letters; a shorter held-out question is part of too many words
SOURCES = ("README.md", "README.ko.md", "docs/*.md")


@dataclass(frozen=True)
class Topic:
    """What one question and its answer are about, in both languages."""

    english: Entry
    korean: Entry


@cache
def topics() -> tuple[Topic, ...]:
    found = {(entry.intent, entry.language): entry for entry in entries()}
    intents = dict.fromkeys(intent for intent, _ in found if intent not in NO_TOPIC)
    return tuple(Topic(found[intent, "en"], found[intent, "ko"]) for intent in intents)


def held_out() -> tuple[HeldOut, ...]:
    return tuple(item for item in held_out_questions() if item.intent not in NO_TOPIC)


def fresh() -> tuple[HeldOut, ...]:
    return tuple(item for item in fresh_questions() if item.intent not in NO_TOPIC)


def leaks(text: str) -> bool:
    """Whether a text contains a held-out question, however it is spelt and framed."""
    bare = normalise(text)
    return bare in held_out_keys() or any(key in bare for key in _long_keys())


@cache
def _long_keys() -> tuple[str, ...]:
    return tuple(key for key in held_out_keys() if len(key) >= SHORTEST_KEY)


def clean(make: Callable[[], str]) -> str:
    """Call until a text comes that contains no held-out question."""
    while leaks(text := make()):
        pass
    return text


def question(entry: Entry, random: Random) -> str:
    """Return one way of asking for the entry's answer, different at every call."""
    return clean(lambda: questions.ask(entry, random))


@cache
def paragraphs() -> tuple[str, ...]:
    """Return the paragraphs of this project's documentation, without tables and code."""
    files = [path for source in SOURCES for path in sorted(ROOT.glob(source))]
    blocks = [block for file in files for block in re.split(r"\n\s*\n", _prose(file))]
    texts = (" ".join(re.sub(r"[*`#>|\[\]]|\(\S+\)", "", block).split()) for block in blocks)
    return tuple(text for text in texts if len(text.split()) >= 16 and not leaks(text))


def _prose(file: Path) -> str:
    text = re.sub(r"```.*?```", "\n\n", file.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"^\s*\|.*$", "\n", text, flags=re.M).replace("\n* ", "\n\n")


def excerpts(paragraph: str, random: Random) -> tuple[str, str]:
    """Return a short piece of a paragraph and a longer one of the same place, roughly spelt."""
    words = paragraph.split()
    long = min(len(words), random.randint(14, 40))
    start = random.randrange(len(words) - long + 1)
    short = random.randint(4, 10)
    at = random.randrange(start, start + long - short + 1)
    piece = questions.mistype(" ".join(words[at : at + short]), random)
    kept = [w for i, w in enumerate(words[start : start + long]) if random.random() > 0.15 or i < 3]
    return questions.capitals(piece, random), " ".join(kept)


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the words of the documentation and of the questions."""
    asked = (text for entry in entries() for text in (entry.answer, *entry.asked))
    words = {word for text in (*paragraphs(), *asked) for word in re.findall(r"\w{2,}", text)}
    return tuple(sorted(words))


def word_salad(random: Random) -> tuple[str, str]:
    """Return two texts with most of their words in common, words that need not mean anything.

    They teach what holds for texts on any subject: the same words mean a similar thing.
    """
    words = [_any_word(random) for _ in range(random.randint(3, 12))]
    kept = random.sample(words, max(2, round(len(words) * random.uniform(0.5, 0.9))))
    kept += [_any_word(random) for _ in range(random.randint(0, 3))]
    random.shuffle(kept)
    other = [_inflect(word, random) for word in kept]
    return questions.capitals(" ".join(words), random), " ".join(other)


def _any_word(random: Random) -> str:
    chance = random.random()
    if chance < 0.5:
        return random.choice(vocabulary())
    if chance < 0.75:
        return "".join(_syllable(random) for _ in range(random.randint(1, 4)))
    return "".join(chr(random.randint(ord("가"), ord("힣"))) for _ in range(random.randint(1, 4)))


def _syllable(random: Random) -> str:
    return (
        random.choice("bcdfghjklmnprstvwz")
        + random.choice("aeiou")
        + random.choice("nrst   ").strip()
    )


def _inflect(word: str, random: Random) -> str:
    """Change the end of a word as grammar does: a plural, a Korean particle."""
    if random.random() > 0.3:
        return word
    return word + random.choice(
        ("s", "ed", "ing") if word.isascii() else ("은", "을", "에서", "가")
    )
