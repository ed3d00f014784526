"""Varies the training questions as people would: politeness, synonyms, typos, lower case.

Never returns a question that is held out for measuring.
"""

import re
from random import Random

from training.starter.corpus import Entry, held_out_keys, normalise, style

Words = list[list[str]]


def ask(entry: Entry, random: Random) -> str:
    """Return one way of asking for the entry's answer, different at every call."""
    while True:
        pool = entry.framed if entry.framed and random.random() < 0.45 else entry.asked
        question = roughen(random.choice(pool), entry.language, random)
        if question.strip() and normalise(question) not in held_out_keys():
            return question


def roughen(question: str, language: str, random: Random) -> str:
    manner = style()[language]
    question = swap(question, manner["swaps"], random)
    if len(question.split()) > 2 - (language == "ko"):
        question = decorate(question, manner["prefixes"], manner["suffixes"], random)
    question = spell(question, language, random)
    return mistype(question, random) if random.random() < 0.2 else question


def swap(question: str, groups: Words, random: Random) -> str:
    """Replace the longest expression of each group by another of it, with an even chance."""
    for group in groups:
        found = [expression for expression in group if _contains(question, expression)]
        if found and random.random() < 0.5:
            question = question.replace(max(found, key=len), random.choice(group), 1)
    return question


def _contains(question: str, expression: str) -> bool:
    if not expression.isascii():  # Korean endings stick to the word before them
        return expression in question
    return re.search(rf"\b{re.escape(expression)}\b", question) is not None


def decorate(question: str, prefixes: list[str], suffixes: list[str], random: Random) -> str:
    if random.random() < 0.2:
        question = random.choice(prefixes) + question
    if random.random() < 0.12:
        question = question.rstrip("?.! ") + random.choice(suffixes)
    return question


def spell(question: str, language: str, random: Random) -> str:
    """Vary capitals, the final mark and, in Korean, the spaces."""
    if random.random() < 0.3:
        question = question.rstrip("?.! ") or question
    if language == "ko" and random.random() < 0.2:
        question = drop_space(question, random)
    return capitals(question, random)


def capitals(question: str, random: Random) -> str:
    chance = random.random()
    if chance < 0.25:
        return question.lower()
    if chance < 0.65:
        return question[:1].upper() + question[1:]
    return question.upper() if chance < 0.67 else question


def drop_space(question: str, random: Random) -> str:
    if random.random() < 0.3:
        return question.replace(" ", "")
    spaces = [i for i, letter in enumerate(question) if letter == " "]
    if not spaces:
        return question
    at = random.choice(spaces)
    return question[:at] + question[at + 1 :]


def mistype(question: str, random: Random) -> str:
    """Drop, double or exchange one letter, or leave out a word of a long question."""
    words = question.split(" ")
    if len(words) > 4 and random.random() < 0.3:
        del words[random.randrange(len(words))]
        return " ".join(words)
    if len(question) < 6:
        return question
    at = random.randrange(1, len(question) - 1)
    middle = random.choice(["", question[at] * 2, question[at + 1] + question[at]])
    rest = at + 2 if len(middle) == 2 and middle[0] != middle[1] else at + 1
    return question[:at] + middle + question[rest:]
