"""The questions and answers the starter learns, and those it is measured with.

Needs nothing but the standard library, so that tests can read the corpus without the training
packages. Knows nothing of tokens or tensors.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LANGUAGES = ("en", "ko")
SILENT_LATIN = set("lmnLMN013678")  # letters and digits that Koreans read with a final consonant


@dataclass(frozen=True)
class Entry:
    """One answer in one language with every way of asking for it."""

    intent: str
    language: str
    answer: str
    asked: tuple[str, ...]
    framed: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class HeldOut:
    """A paraphrase that training never sees, and the one answer that counts as right."""

    question: str
    language: str
    intent: str
    answer: str


@cache
def style() -> dict[str, Any]:
    return tomllib.loads((HERE / "style.toml").read_text(encoding="utf-8"))


@cache
def entries() -> tuple[Entry, ...]:
    """Return the whole corpus, in the order of its files."""
    return tuple(
        _entry(intent, language, spoken[language])
        for path in sorted((HERE / "answers").glob("*.toml"))
        for intent, spoken in tomllib.loads(path.read_text(encoding="utf-8")).items()
        for language in LANGUAGES
    )


@cache
def held_out() -> tuple[HeldOut, ...]:
    """Return every question the finished model is measured with."""
    return tuple(
        HeldOut(question, entry.language, entry.intent, entry.answer)
        for entry in entries()
        for question in entry.held_out
    )


@cache
def fresh() -> tuple[HeldOut, ...]:
    """Return the questions worded after the corpus was closed: the harder measure."""
    answers = {(entry.language, entry.intent): entry.answer for entry in entries()}
    worded = tomllib.loads((HERE / "fresh.toml").read_text(encoding="utf-8"))
    return tuple(
        HeldOut(question, language, intent, answers[language, intent])
        for language, intents in worded.items()
        for intent, questions in intents.items()
        for question in questions
    )


@cache
def held_out_keys() -> frozenset[str]:
    return frozenset(normalise(item.question) for item in (*held_out(), *fresh()))


def normalise(text: str) -> str:
    """Reduce a question to its lower-case letters and digits, to compare questions."""
    return re.sub(r"[\W_]+", "", text.casefold())


def _entry(intent: str, language: str, spec: dict[str, Any]) -> Entry:
    frames = style()[language]
    held = tuple(spec["held"])
    framed = tuple(
        question
        for kind in ("do", "is")
        for phrase in spec.get(kind, [])
        for frame in frames[kind]
        if _usable(question := fill(frame, phrase), language, held)
    )
    return Entry(intent, language, spec["answer"], tuple(spec["ask"]), framed, held)


def _usable(question: str, language: str, held: tuple[str, ...]) -> bool:
    """Refuse what is held out, and a bare English name as a Korean question."""
    if language == "ko" and question.isascii():
        return False
    return normalise(question) not in map(normalise, held)


def fill(frame: str, phrase: str) -> str:
    """Put a phrase into a frame and choose the Korean particles that fit its last sound."""
    closed = ends_closed(phrase)
    frame = frame.replace("이/가", "이" if closed else "가")
    return frame.replace("은/는", "은" if closed else "는").replace("{}", phrase)


def ends_closed(phrase: str) -> bool:
    last = phrase[-1]
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28 != 0
    return last in SILENT_LATIN
