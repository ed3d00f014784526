"""Trains the byte-level BPE tokenizer: Qwen2's word pattern, Qwen2.5-VL's special tokens."""

from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from scripts.starter.tokenizer import WORDS
from scripts.vision_starter.chatml import (
    CHAT_TEMPLATE,
    CONTEXT,
    END_OF_TEXT,
    IM_END,
    SPECIAL_TOKENS,
)
from scripts.vision_starter.conversations import conversation

VOCABULARY = 1024


def train_tokenizer(random: Random) -> PreTrainedTokenizerFast:
    """Learn the vocabulary from conversations; every byte stays encodable, so any text is."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(_texts(random), _trainer())
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=IM_END,
        pad_token=END_OF_TEXT,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _trainer() -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def _texts(random: Random) -> list[str]:
    """Return questions and answers, and the words a prompt is made of."""
    texts = ["system\n", "user\n", "assistant\n"] * 2000
    for _ in range(6000):
        for turn in conversation(random).turns:
            texts += [turn.asked.question, turn.asked.answer]
    return texts
