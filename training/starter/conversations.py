"""Puts questions and answers together into the conversations that training reads."""

from dataclasses import dataclass
from random import Random

from training.starter.corpus import LANGUAGES, Entry, entries, style
from training.starter.questions import ask

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WEIGHTS = {"outside": 8.0, "unclear": 2.0}  # what has more kinds of questions comes more often


@dataclass(frozen=True)
class Piece:
    """A stretch of a conversation; the model learns to write the learned ones."""

    text: str
    learned: bool


def conversation(random: Random) -> list[Piece]:
    """Return one to three unrelated turns, sometimes under a system message, as ChatML."""
    language = random.choice(LANGUAGES)
    pieces = _system(random)
    for _ in range(random.choices((1, 2, 3), (82, 13, 5))[0]):
        if random.random() < 0.1:
            language = random.choice(LANGUAGES)
        pieces += _turn(_pick(language, random), random)
    return pieces


def _pick(language: str, random: Random) -> Entry:
    pool = [entry for entry in entries() if entry.language == language]
    return random.choices(pool, [WEIGHTS.get(entry.intent, 1.0) for entry in pool])[0]


def _turn(entry: Entry, random: Random) -> list[Piece]:
    question = f"{IM_START}user\n{ask(entry, random)}{IM_END}\n{IM_START}assistant\n"
    return [Piece(question, False), Piece(entry.answer + IM_END, True), Piece("\n", False)]


def _system(random: Random) -> list[Piece]:
    chance = random.random()
    if chance > 0.15:
        return []
    language = random.choice(LANGUAGES)
    text: str = random.choice(style()["systems"][language])
    if chance < 0.02:  # long instructions must not disturb the answer either
        text += " " + " ".join(e.answer for e in random.sample(entries(), random.randint(1, 3)))
    return [Piece(f"{IM_START}system\n{text}{IM_END}\n", False)]
