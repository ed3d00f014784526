"""Trains the tokenizer of the starter."""

from random import Random

from transformers import PreTrainedTokenizerFast

from training import bpe
from training.starter.conversations import CHAT_TEMPLATE, END_OF_TEXT, IM_END, SPECIAL_TOKENS
from training.starter.corpus import entries
from training.starter.questions import ask

VOCABULARY = 3072
CONTEXT = 4096  # tokens


def train_tokenizer(random: Random) -> PreTrainedTokenizerFast:
    """Learn the vocabulary from the corpus."""
    learned = bpe.trained(_texts(random), VOCABULARY, SPECIAL_TOKENS)
    return bpe.for_chat(
        learned, end=IM_END, pad=END_OF_TEXT, template=CHAT_TEMPLATE, context=CONTEXT
    )


def _texts(random: Random) -> list[str]:
    """Return every answer as often as a dozen of its questions."""
    return [
        text
        for entry in entries()
        for text in [*(ask(entry, random) for _ in range(12)), *[entry.answer] * 12]
    ]
