"""Trains the tokenizer: Qwen2.5-VL's special tokens, normalised as Qwen2 does."""

from random import Random

from tokenizers.normalizers import NFC
from transformers import PreTrainedTokenizerFast

from training import bpe
from training.vision_starter.chatml import (
    CHAT_TEMPLATE,
    CONTEXT,
    END_OF_TEXT,
    IM_END,
    SPECIAL_TOKENS,
)
from training.vision_starter.conversations import conversation

VOCABULARY = 1024


def train_tokenizer(random: Random) -> PreTrainedTokenizerFast:
    """Learn the vocabulary from conversations."""
    learned = bpe.trained(_texts(random), VOCABULARY, SPECIAL_TOKENS, NFC())
    return bpe.for_chat(
        learned, end=IM_END, pad=END_OF_TEXT, template=CHAT_TEMPLATE, context=CONTEXT
    )


def _texts(random: Random) -> list[str]:
    """Return questions and answers, and the words a prompt is made of."""
    texts = ["system\n", "user\n", "assistant\n"] * 2000
    for _ in range(6000):
        for turn in conversation(random).turns:
            texts += [turn.asked.question, turn.asked.answer]
    return texts
